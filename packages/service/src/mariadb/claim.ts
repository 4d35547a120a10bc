import { connectAccepted, type Login } from '../endpoint-login.ts';
import type { Address, Credentials } from '../service.ts';
import { superuser } from './configuration.ts';
import { isRefusal, type MariadbClient, withConnection } from './connection.ts';
import { nativePassword } from './native-password.ts';
import { account, id } from './quote.ts';

/**
 * Makes a copy its environment's own: our password for each account that has one in `to`, a lock on every other one,
 * and nothing left that follows or reaches other servers. Every step is done again each time, so that a claim that was
 * cut short is finished by the next.
 */
export async function mariadbClaim(address: Address, from: Credentials, to: Credentials): Promise<void> {
  if (from.username !== to.username) throw new Error('a claim cannot rename the superuser');
  const tryLogin = (login: Login) => withConnection(address, login, {}, async () => login);
  const login = await connectAccepted(address, [to, from], tryLogin, isRefusal);
  await withConnection(address, login, {}, async (client) => {
    await forgetSources(client);
    await dropRemoteTables(client);
    await claimAccounts(client, to);
  });
}

/** The superuser's comes last: until then the claim can be made again with the password that it began with. */
async function claimAccounts(client: MariadbClient, to: Credentials): Promise<void> {
  const logins = new Map<string, Login>(
    [...Object.values(to.endpoints), to].map((login) => [login.username, login]),
  );
  const rows = await client.query<{ user: string; host: string; role: string }>(
    `select user, host, coalesce(json_value(priv, '$.is_role'), '0') as role from mysql.global_priv
     order by user = '${superuser}', user, host`,
  );
  for (const { user, host, role } of rows) {
    if (role !== '0' || user === 'mariadb.sys') continue;
    const login = host === '%' ? logins.get(user) : undefined;
    if (login === undefined) await client.query(`alter user ${account(user, host)} account lock`);
    else
      await client.query(
        `alter user ${account(user, host)} identified via mysql_native_password
         using '${nativePassword(login.password)}'`,
      );
  }
}

async function forgetSources(client: MariadbClient): Promise<void> {
  const sources = await client.query<{ Connection_name: string }>('show all slaves status');
  for (const { Connection_name: name } of sources) {
    await client.query(`stop slave '${name.replaceAll("'", "''")}'`);
    await client.query(`reset slave '${name.replaceAll("'", "''")}' all`);
  }
  const servers = await client.query<{ name: string }>('select Server_name as name from mysql.servers');
  for (const { name } of servers) await client.query(`drop server if exists ${id(name)}`);
}

/** Engines whose rows are on another server, or in files outside; unknown when their plugin is not loaded here. */
async function dropRemoteTables(client: MariadbClient): Promise<void> {
  const tables = await client.query<{ s: string; n: string }>(
    `select table_schema as s, table_name as n from information_schema.tables
     where table_type = 'BASE TABLE' and table_schema not in ('mysql', 'sys', 'performance_schema', 'information_schema')
       and (engine is null or engine in ('FEDERATED', 'CONNECT', 'SPIDER', 'S3', 'SPHINX', 'OQGRAPH', 'MROONGA'))`,
  );
  await client.query('set session foreign_key_checks = 0');
  for (const { s: schema, n: name } of tables) await client.query(`drop table ${id(schema)}.${id(name)}`);
}
