import { randomBytes } from 'node:crypto';
import { migrate } from '@bough/boot/migrate';
import { databaseUrl, migrationsDirectory } from '@bough/testkit/test-database';
import pg from 'pg';

/** One real Postgres for many histories, one after the other: emptied in between. */
export interface SimDatabase {
  /** Empties every table and sets the clock of Postgres. */
  reset(): Promise<void>;
  /** A real session that nobody uses; give it back when the simulated one ends. */
  takeSession(): Promise<pg.Client>;
  /** Ends what the session had going, if anything, as the end of a connection does, and keeps it for the next one. */
  giveSession(session: pg.Client, isDirty: boolean): Promise<void>;
  /** For looking on: not part of what is simulated. */
  readonly watcher: pg.Client;
  close(): Promise<void>;
}

/**
 * The statements under test say `now()`, and `public, simulation, pg_catalog` makes that the simulation's: a sequence that
 * is set before a statement when time has passed. Row triggers note every change, in order, for the invariants.
 */
const SIMULATED = `
create schema simulation;
create sequence simulation.clock minvalue 0;
create function simulation.now() returns timestamptz language sql stable as
  $$ select pg_catalog.to_timestamp(last_value / 1000.0) from simulation.clock $$;
create table simulation.changes (seq bigint generated always as identity, what text not null, before jsonb, after jsonb);
create function simulation.note() returns trigger language plpgsql as $$
begin
  insert into simulation.changes (what, before, after) values
    (tg_table_name, case when tg_op <> 'INSERT' then to_jsonb(old) - tg_argv[0]::text[] end,
                    case when tg_op <> 'DELETE' then to_jsonb(new) - tg_argv[0]::text[] end);
  return null;
end $$;`;

const TRIGGERS = `
create trigger note after insert or update or delete on environments for each row execute function simulation.note('{facts}');
create trigger note after insert or update on deployments for each row execute function simulation.note('{plan}');
create trigger note after insert or update or delete on snapshots for each row execute function simulation.note('{attestation,report,credentials_encrypted}');`;

const VACUUM_EVERY = 25;

export async function openSimDatabase(adminUrl: string): Promise<SimDatabase> {
  const name = `simulation_${randomBytes(6).toString('hex')}`;
  await once(adminUrl, `create database ${name}`);
  const { rows: sockets } = await once(adminUrl, 'show unix_socket_directories');
  const socket = String(sockets[0]?.unix_socket_directories ?? '');
  const url = databaseUrl(adminUrl, name);
  await once(url, SIMULATED);
  await once(url, `alter database ${name} set search_path = public, simulation, pg_catalog`);
  // Nothing may move rows behind our back: ties in an order would fall otherwise.
  await migrate({ url, directory: migrationsDirectory });
  await once(url, TRIGGERS);
  const { rows } = await once(
    url,
    `select quote_ident(tablename) as name from pg_tables where schemaname = 'public' and tablename <> 'migrations'`,
  );
  const tables = rows.map((row) => String(row.name));
  for (const table of tables) await once(url, `alter table ${table} set (autovacuum_enabled = off)`);
  const all: pg.Client[] = [];
  const free: pg.Client[] = [];
  const open = async () => {
    const client = new pg.Client({
      ...(socket === '' ? { connectionString: url } : throughSocket(url, socket)),
      pipeline: true,
    } as pg.ClientConfig);
    client.on('error', () => {});
    await client.connect();
    await client.query('set synchronous_commit = off');
    all.push(client);
    return client;
  };
  const watcher = await open();
  const { rows: sequences } = await once(
    url,
    `select schemaname || '.' || sequencename as name from pg_sequences where sequencename <> 'clock'`,
  );
  // A tenth of what truncating costs: that makes new files.
  const emptying = [
    'begin',
    `set local session_replication_role = replica`,
    ...[...tables, 'simulation.changes'].map((table) => `delete from ${table}`),
    ...sequences.map(({ name }) => `select setval('${String(name)}', 1, false)`),
    'commit',
  ].join('; ');
  let resets = 0;
  return {
    watcher,
    async reset() {
      await watcher.query(emptying);
      resets += 1;
      if (resets % VACUUM_EVERY === 0)
        for (const table of [...tables, 'simulation.changes']) await watcher.query(`vacuum ${table}`);
    },
    takeSession: async () => free.pop() ?? (await open()),
    async giveSession(session, isDirty) {
      if (isDirty) await session.query('rollback; select pg_advisory_unlock_all()');
      free.push(session);
    },
    async close() {
      for (const client of all) await client.end();
      await once(adminUrl, `drop database if exists ${name} with (force)`);
    },
  };
}

/** A fifth of the time that a round trip takes over TCP. */
function throughSocket(url: string, socket: string): pg.ClientConfig {
  const { port, username, password, pathname } = new URL(url);
  return {
    host: socket,
    port: Number(port),
    user: decodeURIComponent(username),
    password: decodeURIComponent(password),
    database: pathname.slice(1),
  };
}

async function once(url: string, text: string): Promise<pg.QueryResult<Record<string, unknown>>> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 10_000 });
  client.on('error', () => {});
  await client.connect();
  try {
    return await client.query(text);
  } finally {
    await client.end();
  }
}
