import { type Client, escapeIdentifier as id, escapeLiteral as literal } from 'pg';
import { connectAccepted, type Login } from '../endpoint-login.ts';
import type { Address, Credentials } from '../service.ts';
import { connect, disconnect, isRefusal, withConnection } from './connection.ts';
import { scramVerifier } from './scram.ts';

/** At once; a copy allows few more. */
const CONNECTIONS = 4;

/**
 * Makes a copy its environment's own: our password for each role that has one in `to`, none for every other role, and
 * nothing left that knows how to reach other servers. Every step is done again each time, so that a claim that was cut
 * short is finished by the next.
 */
export async function postgresClaim(address: Address, from: Credentials, to: Credentials): Promise<void> {
  if (from.username !== to.username) throw new Error('a claim cannot rename the superuser');
  const verified = verifiersOf(to);
  const client = await connectAccepted(address, [to, from], (login) => connect(address, login), isRefusal);
  const databases = await verified
    .then((verifiers) => claimRoles(client, verifiers))
    .then(() => listDatabases(client))
    .finally(() => disconnect(client));
  await inLanes(databases, (database) =>
    withConnection(address, to, { database }, async (inside) => {
      await dropSubscriptions(inside);
      await dropUserMappings(inside);
    }),
  );
}

/** Somebody waits for the preview, and each database costs a connection. Resolves or rejects when all lanes have ended. */
async function inLanes(names: readonly string[], work: (name: string) => Promise<void>): Promise<void> {
  const queue = names.values();
  const lanes = Array.from({ length: CONNECTIONS }, async () => {
    for (const name of queue) await work(name);
  });
  const failed = (await Promise.allSettled(lanes)).find((lane) => lane.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}

/** Role → what the server stores of its password. */
async function verifiersOf(to: Credentials): Promise<ReadonlyMap<string, string>> {
  const logins: Login[] = [to, ...Object.values(to.endpoints)];
  return new Map(
    await Promise.all(
      logins.map(async ({ username, password }) => [username, await scramVerifier(password)] as const),
    ),
  );
}

async function claimRoles(client: Client, verifiers: ReadonlyMap<string, string>): Promise<void> {
  const { rows } = await client.query<{ rolname: string; has_password: boolean }>(
    'select rolname, rolpassword is not null as has_password from pg_authid',
  );
  await client.query('begin');
  for (const { rolname, has_password } of rows) {
    const verifier = verifiers.get(rolname);
    if (verifier !== undefined) await client.query(`alter role ${id(rolname)} password ${literal(verifier)}`);
    else if (has_password) await client.query(`alter role ${id(rolname)} password null`);
  }
  await client.query('commit');
}

async function listDatabases(client: Client): Promise<string[]> {
  const { rows } = await client.query<{ datname: string }>(
    'select datname from pg_database where datallowconn order by datname',
  );
  return rows.map(({ datname }) => datname);
}

/** The slot on the publisher is production's: it is left alone, so the subscription is parted from it first. */
async function dropSubscriptions(client: Client): Promise<void> {
  const { rows } = await client.query<{ subname: string }>(
    `select subname from pg_subscription
     where subdbid = (select oid from pg_database where datname = current_database())`,
  );
  for (const { subname } of rows) {
    await client.query(`alter subscription ${id(subname)} disable`);
    await client.query(`alter subscription ${id(subname)} set (slot_name = none)`);
    await client.query(`drop subscription ${id(subname)}`);
  }
}

async function dropUserMappings(client: Client): Promise<void> {
  const { rows } = await client.query<{ usename: string; srvname: string; is_public: boolean }>(
    'select usename, srvname, umuser = 0 as is_public from pg_user_mappings',
  );
  for (const { usename, srvname, is_public } of rows) {
    const user = is_public ? 'public' : id(usename);
    await client.query(`drop user mapping if exists for ${user} server ${id(srvname)}`);
  }
}
