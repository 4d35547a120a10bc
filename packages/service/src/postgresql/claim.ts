import { type Client, escapeIdentifier as id, escapeLiteral as literal } from 'pg';
import { connectAccepted, type Login } from '../endpoint-login.ts';
import type { Address, Credentials } from '../service.ts';
import { connect, disconnect, isRefusal, together, withConnection } from './connection.ts';
import { verifiersOf } from './scram.ts';

/** At once; a copy allows few more. */
const CONNECTIONS = 4;

/** Comment of the superuser of a copy all of whose databases were parted from other servers. */
const partedComment = 'a copy of which no database reaches other servers';

/**
 * Makes a copy its environment's own: our password for each role that has one in `to`, none for every other role, and
 * nothing left that knows how to reach other servers. Every step is done again each time, so that a claim that was cut
 * short is finished by the next.
 */
export async function postgresClaim(address: Address, from: Credentials, to: Credentials): Promise<void> {
  if (from.username !== to.username) throw new Error('a claim cannot rename the superuser');
  const verified = verifiersOf(to);
  const client = await connectAccepted(address, [to, from], (login) => connect(address, login), isRefusal);
  try {
    await claimRoles(client, await verified);
    await partDatabases(client, address, to);
    // The copies of this copy need not look into each database again.
    await client.query(`comment on role ${id(to.username)} is ${literal(partedComment)}`);
  } finally {
    await disconnect(client);
  }
}

/** Whether an earlier claim of these files, or of those that they are a copy of, came to its end. */
export async function isParted(client: Client): Promise<boolean> {
  // Subscriptions of all databases are in one catalogue, so that those are looked for in any case.
  const { rows } = await client.query<{ parted: boolean }>(
    `select exists (
       select from pg_catalog.pg_shdescription
       where objoid = (select oid from pg_catalog.pg_authid where rolname = current_user)
         and classoid = 'pg_catalog.pg_authid'::pg_catalog.regclass and description = $1
     ) and not exists (select from pg_catalog.pg_subscription) as parted`,
    [partedComment],
  );
  return rows[0]?.parted === true;
}

/** Goes into each database. The login is one that the server accepts already. */
export async function partDatabases(client: Client, address: Address, login: Login): Promise<void> {
  await inLanes(await listDatabases(client), (database) =>
    withConnection(address, login, { database }, async (inside) => {
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

export async function claimRoles(client: Client, verifiers: ReadonlyMap<string, string>): Promise<void> {
  const { rows } = await client.query<{ rolname: string; has_password: boolean }>(
    'select rolname, rolpassword is not null as has_password from pg_catalog.pg_authid',
  );
  const statements = rows.flatMap(({ rolname, has_password }) => {
    const verifier = verifiers.get(rolname);
    if (verifier !== undefined) return [`alter role ${id(rolname)} password ${literal(verifier)}`];
    return has_password ? [`alter role ${id(rolname)} password null`] : [];
  });
  await together(client, statements);
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
