import { Client } from 'pg';
import type { Address, Credentials } from '../src/service.ts';

/** A session of the superuser, who sees every row. */
export async function openSession({
  address,
  credentials,
}: {
  address: Address;
  credentials: Credentials;
}): Promise<Client> {
  const client = new Client({
    ...{ host: address.host, port: address.port, database: 'main' },
    ...{ user: credentials.username, password: credentials.password.reveal() },
  });
  client.on('error', () => {});
  await client.connect();
  return client;
}

/** Digests of the rows of every table, whatever its parts, and of all large objects, in the session's snapshot. */
export async function digestsOf(client: Client): Promise<Readonly<Record<string, string>>> {
  const { rows: tables } = await client.query<{ name: string }>(
    `select c.oid::regclass::text as name from pg_class c join pg_namespace n on n.oid = relnamespace
     where relkind in ('r', 'p') and not relispartition and nspname !~ '^pg_' and nspname <> 'information_schema'`,
  );
  const digests: Record<string, string> = {};
  for (const { name } of [...tables, { name: 'pg_largeobject' }]) {
    const { rows } = await client.query<{ digest: string }>(
      `select count(*) || ' ' || coalesce(md5(string_agg(md5(t::text), '' order by t::text)), '') as digest from ${name} t`,
    );
    digests[name] = rows[0]?.digest ?? '';
  }
  return digests;
}

/** What is made of the rows when they are there. */
export async function shapesOf(client: Client): Promise<readonly string[]> {
  const { rows } = await client.query<{ shape: string }>(
    `select pg_get_indexdef(indexrelid) as shape from pg_index join pg_class on pg_class.oid = indrelid where indrelid >= 16384 and relkind <> 't'
     union all select conrelid::regclass || ' ' || pg_get_constraintdef(oid) from pg_constraint where conrelid >= 16384
     union all select tablename || ' ' || policyname from pg_policies
     union all select oid::regclass || ' row security' from pg_class where relrowsecurity order by 1`,
  );
  return rows.map(({ shape }) => shape);
}

/** Sees what the one exported snapshot of that server shows, for as long as the session lives. */
export async function joinSnapshot(client: Client): Promise<void> {
  const { rows } = await client.query<{ id: string }>(`select pg_ls_dir('pg_snapshots') as id`);
  if (rows.length !== 1) throw new Error(`${rows.length} snapshots are exported`);
  await client.query('begin isolation level repeatable read read only');
  await client.query(`set transaction snapshot '${rows[0]?.id}'`);
}

/** What of a table's rows, its storage and its keys can get lost between two COPYs. */
export const oddTables = `
  create type mood as enum ('good', 'bad', 'odd');
  create schema "Odd";
  create table "Odd"."big $1" (
    id int primary key generated always as identity, gone int, twice int generated always as (id * 2) stored,
    at timestamptz default now(), note text, raw bytea, ratio float8, span interval, list numeric[], doc jsonb, person int references people);
  alter table "Odd"."big $1" drop column gone;
  insert into "Odd"."big $1" (note, raw, ratio, span, list, doc, person)
    select E'a\\tb\\\\N\\n' || n, decode(md5(n::text), 'hex'), n / 7.0, n * interval '25 hours', array[n, null, 0.1], '{"a": "\\u00e9"}', 1 + n % 1000
    from generate_series(1, 8000) n;
  create index on "Odd"."big $1" (lower(note));
  create table ledger (id int primary key, amount int not null check (amount > -1000000), note text);
  insert into ledger select n, 0, repeat('ledger ', 5) || n from generate_series(1, 8000) n;
  create table wide (id int primary key, text text);
  alter table wide alter column text set storage external;
  insert into wide select n, repeat(md5(n::text), 8000) from generate_series(1, 8) n;
  insert into wide select 9, repeat(md5('widest'), 100000);
  create table emptied as select n as id, repeat('x', 100) as note from generate_series(1, 5000) n;
  delete from emptied;
  create table empty (id int primary key);
  create table years (id int, year int) partition by range (year);
  create table years_old partition of years for values from (0) to (2000);
  create table years_new partition of years default;
  insert into years select n, n % 3000 from generate_series(1, 9000) n;
  create table moods (id int, mood mood, note text) partition by hash (mood);
  create table moods_0 partition of moods for values with (modulus 2, remainder 0);
  create table moods_1 partition of moods for values with (modulus 2, remainder 1);
  insert into moods select n, (enum_range(null::mood))[1 + n % 3], repeat('m', 50) from generate_series(1, 6000) n;
  create table guarded (id int, secret text);
  alter table guarded enable row level security;
  create policy nobody on guarded using (id < 0);
  insert into guarded select n, repeat('s', 50) from generate_series(1, 3000) n;
  create unlogged table hasty as select n as id, repeat('h', 100) as note from generate_series(1, 3000) n;
  create table bare ();
  insert into bare default values;
  select lo_from_bytea(0, convert_to(repeat('large object ', 1000), 'UTF8'));
  create materialized view sums as select count(*) as n from ledger`;
