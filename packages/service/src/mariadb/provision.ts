import { endpointLogin } from '../endpoint-login.ts';
import type { Privilege } from '../parse-endpoints.ts';
import type { Address, Credentials, ServiceDeclaration } from '../service.ts';
import { type EndpointConfiguration, readConfiguration, superuser } from './configuration.ts';
import { type MariadbClient, withConnection } from './connection.ts';
import { nativePassword } from './native-password.ts';
import { account, grantedSchema, id } from './quote.ts';

const rights: Readonly<Record<Privilege, string>> = {
  ro: 'select, show view',
  rw: 'select, show view, insert, update, delete, lock tables, create temporary tables, execute',
  admin: 'all privileges',
};

/**
 * Schemas, accounts, privileges. Schemas and accounts that the declaration no longer names stay: dropping them would
 * drop data, or what views run as; such an account can merely no longer log in.
 */
export async function mariadbProvision(
  declaration: ServiceDeclaration,
  address: Address,
  credentials: Credentials,
): Promise<void> {
  const { schemas, endpoints } = readConfiguration(declaration);
  const users = Object.entries(endpoints).map(([name, endpoint]) => ({
    endpoint,
    ...endpointLogin(declaration, credentials, name),
  }));
  await withConnection(address, credentials, {}, async (client) => {
    for (const schema of schemas) await client.query(`create database if not exists ${id(schema)}`);
    for (const user of users) {
      await client.query(`create user if not exists ${account(user.username)}`);
      await client.query(
        `alter user ${account(user.username)} identified via mysql_native_password
         using '${nativePassword(user.password)}' account unlock`,
      );
      await ensurePrivileges(client, user.username, schemas, user.endpoint);
    }
    await lockFormerAccounts(
      client,
      users.map((user) => user.username),
    );
  });
}

/** Takes everything away first, so that a privilege that was lowered is lower indeed. */
async function ensurePrivileges(
  client: MariadbClient,
  user: string,
  schemas: readonly string[],
  { privileges }: EndpointConfiguration,
): Promise<void> {
  await client.query(`revoke all privileges, grant option from ${account(user)}`);
  for (const schema of schemas) {
    const privilege = privileges[schema];
    if (privilege === undefined) continue;
    await client.query(`grant ${rights[privilege]} on ${grantedSchema(schema)}.* to ${account(user)}`);
  }
}

/** Accounts of endpoints that went are known by their place: apps cannot make accounts, so every other one was ours. */
async function lockFormerAccounts(client: MariadbClient, current: readonly string[]): Promise<void> {
  const rows = await client.query<{ user: string; host: string }>(
    `select user, host from mysql.global_priv
     where coalesce(json_value(priv, '$.account_locked'), '0') not in ('1', 'true')
       and coalesce(json_value(priv, '$.is_role'), '0') not in ('1', 'true')`,
  );
  const kept = new Set([superuser, ...current]);
  for (const { user, host } of rows) {
    if (kept.has(user) || user === 'mariadb.sys') continue;
    await client.query(`alter user ${account(user, host)} account lock`);
  }
}
