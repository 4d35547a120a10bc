import { type Client, escapeIdentifier as id } from 'pg';
import type { Address, Credentials } from '../service.ts';
import { withConnection } from './connection.ts';

const tablesMax = 100;
/** Above this an estimate will do: counting reads the whole table. */
const exactRowsMax = 1_000_000;

export interface TableCount {
  readonly table: string;
  readonly rows: number;
}

/** `orders`, `audit.events`, and `reports/orders` in another database than main. */
export async function postgresCount(address: Address, credentials: Credentials): Promise<TableCount[]> {
  const databases = await withConnection(address, credentials, {}, async (client) => {
    const { rows } = await client.query<{ datname: string }>(
      `select datname from pg_database
       where datallowconn and not datistemplate and datname <> 'postgres' order by datname`,
    );
    return rows.map(({ datname }) => datname);
  });
  const counts: TableCount[] = [];
  for (const database of databases) {
    const prefix = database === 'main' ? '' : `${database}/`;
    counts.push(
      ...(await withConnection(address, credentials, { database, statementTimeoutMs: 60_000 }, (client) =>
        countTables(client, prefix),
      )),
    );
  }
  return counts.sort((a, b) => b.rows - a.rows || (a.table < b.table ? -1 : 1)).slice(0, tablesMax);
}

async function countTables(client: Client, prefix: string): Promise<TableCount[]> {
  const { rows } = await client.query<{ schema: string; name: string; estimate: number }>(
    `select n.nspname as schema, c.relname as name, greatest(c.reltuples, 0)::float8 as estimate
     from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where c.relkind = 'r' and c.relpersistence <> 't'
       and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
     order by c.relpages desc, c.oid limit $1`,
    [tablesMax],
  );
  const counts: TableCount[] = [];
  for (const { schema, name, estimate } of rows) {
    const table = `${prefix}${schema === 'public' ? '' : `${schema}.`}${name}`;
    counts.push({ table, rows: await countRows(client, `${id(schema)}.${id(name)}`, estimate) });
  }
  return counts;
}

/** A table that was never analysed has no estimate, so the exact count stops at the bound. */
async function countRows(client: Client, table: string, estimate: number): Promise<number> {
  if (estimate >= exactRowsMax) return Math.round(estimate);
  const { rows } = await client.query<{ count: string }>(
    `select count(*) from (select from ${table} limit ${exactRowsMax}) as counted`,
  );
  return Math.max(Number(rows[0]?.count), 0);
}
