import type pg from 'pg';
import { escapeIdentifier as id, escapeLiteral as literal } from 'pg';
import { type ObservedServer, withSession } from './session.ts';

/** A table of the application as it is before the migration. */
export interface UserTable {
  readonly database: string;
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  /** `orders`, `audit.events`, `reports/customers` in another database than the first. */
  readonly display: string;
  readonly rows: number;
  readonly bytes: number;
}

/** Counting a small table that was never analysed costs nothing; a large one is guessed from its size. */
const countedBytesMax = 64 * 1024 * 1024;
const guessedRowBytes = 100;
const tablesMax = 5_000;

/** Largest first. */
export async function listTables(
  server: ObservedServer,
  database: string,
  isFirst: boolean,
): Promise<UserTable[]> {
  return withSession(server, database, async (client) => {
    const { rows } = await client.query<{
      oid: number;
      schema: string;
      name: string;
      rows: number;
      bytes: number;
    }>(
      `select c.oid::int8::float8 as oid, n.nspname as schema, c.relname as name, c.reltuples::float8 as rows,
         pg_total_relation_size(c.oid)::float8 as bytes
       from pg_class c join pg_namespace n on n.oid = c.relnamespace
       where c.relkind in ('r', 'p') and c.relpersistence <> 't' and n.nspname !~ '^pg_'
         and n.nspname not in ('information_schema', 'bough_rehearsal')
         and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
       order by bytes desc limit ${tablesMax}`,
    );
    const tables: UserTable[] = [];
    for (const row of rows) {
      const local = row.schema === 'public' ? row.name : `${row.schema}.${row.name}`;
      tables.push({
        ...row,
        database,
        display: isFirst ? local : `${database}/${local}`,
        rows: row.rows > 0 ? row.rows : await countRows(client, row),
      });
    }
    return tables;
  });
}

async function countRows(
  client: pg.Client,
  table: { schema: string; name: string; bytes: number },
): Promise<number> {
  if (table.bytes > countedBytesMax) return Math.round(table.bytes / guessedRowBytes);
  const { rows } = await client.query<{ count: number }>(
    `select count(*)::float8 as count from ${qualified(table)}`,
  );
  return rows[0]?.count ?? 0;
}

export function qualified(table: { schema: string; name: string }): string {
  return `${id(table.schema)}.${id(table.name)}`;
}

/** What of a table changed meanwhile. Counters of changes include those that were rolled back. */
export interface TableCounters {
  readonly bytes: number;
  readonly changedRows: number;
}

export async function readCounters(
  server: ObservedServer,
  database: string,
  oids: readonly number[],
): Promise<ReadonlyMap<number, TableCounters>> {
  return withSession(server, database, async (client) => {
    const { rows } = await client.query<{ oid: number; bytes: number; changed: number }>(
      `select c.oid::int8::float8 as oid, pg_total_relation_size(c.oid)::float8 as bytes,
         (pg_stat_get_tuples_inserted(c.oid) + pg_stat_get_tuples_updated(c.oid) + pg_stat_get_tuples_deleted(c.oid))::float8 as changed
       from pg_class c where c.oid = any($1::oid[])`,
      [oids],
    );
    return new Map(rows.map((row) => [row.oid, { bytes: row.bytes, changedRows: row.changed }]));
  });
}

/** What is asked of a table again and again: one row by its key, and the same row written as it is. */
export interface ProbeSql {
  readonly read: string;
  readonly write: string;
}

/** Undefined when the table is not there under its name any more. */
export async function probeSqlOf(
  client: pg.Client,
  table: Pick<UserTable, 'schema' | 'name'>,
): Promise<ProbeSql | undefined> {
  const { rows: columns } = await client.query<{
    name: string;
    type: string;
    in_key: boolean;
    writable: boolean;
  }>(
    `select a.attname as name, format_type(a.atttypid, a.atttypmod) as type,
       coalesce(a.attnum = any(i.indkey::int2[]), false) as in_key,
       a.attgenerated = '' and a.attidentity <> 'a' as writable
     from pg_attribute a left join pg_index i on i.indrelid = a.attrelid and i.indisprimary
     where a.attrelid = to_regclass($1) and a.attnum > 0 and not a.attisdropped order by a.attnum`,
    [qualified(table)],
  );
  if (columns.length === 0) return undefined;
  const key = columns.filter((column) => column.in_key);
  const where = await rowOf(client, table, key);
  const column =
    columns.find(({ writable, in_key }) => writable && !in_key) ?? columns.find(({ writable }) => writable);
  const name = qualified(table);
  return {
    read: `select 1 from ${name} where ${where}`,
    // Without a column that could be written the lock that every write takes says as much.
    write:
      column === undefined
        ? `lock table ${name} in row exclusive mode`
        : `update ${name} set ${id(column.name)} = ${id(column.name)} where ${where}`,
  };
}

async function rowOf(
  client: pg.Client,
  table: Pick<UserTable, 'schema' | 'name'>,
  key: readonly { name: string; type: string }[],
): Promise<string> {
  if (key.length > 0) {
    const order = key.map(({ name }) => `${id(name)} desc`).join(', ');
    const values = key.map(({ name }) => `${id(name)}::text`).join(', ');
    const { rows } = await client.query<(string | null)[]>({
      text: `select ${values} from ${qualified(table)} order by ${order} limit 1`,
      rowMode: 'array',
    });
    const [row] = rows;
    if (row !== undefined)
      return key
        .map(({ name, type }, at) => `${id(name)} = ${literal(row[at] ?? '')}::${type}`)
        .join(' and ');
  }
  // Empty, or without a key: the first place of the file. Whether a row is there does not matter to the lock.
  return `ctid = '(0,1)'`;
}
