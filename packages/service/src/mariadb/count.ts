import type { Address, Credentials } from '../service.ts';
import { withConnection } from './connection.ts';
import { id } from './quote.ts';

const tablesMax = 100;
/** Above this an estimate will do: counting reads the whole table. */
const exactRowsMax = 1_000_000;

/** `orders`, and `reports/orders` in another schema than main. */
export async function mariadbCount(
  address: Address,
  credentials: Credentials,
): Promise<{ table: string; rows: number }[]> {
  return withConnection(address, credentials, { statementTimeoutMs: 60_000 }, async (client) => {
    const tables = await client.query<{ s: string; n: string; estimate: string | null }>(
      `select table_schema as s, table_name as n, table_rows as estimate from information_schema.tables
       where table_type = 'BASE TABLE'
         and table_schema not in ('mysql', 'sys', 'information_schema', 'performance_schema')
       order by data_length desc, table_schema, table_name limit ${tablesMax}`,
    );
    const counts: { table: string; rows: number }[] = [];
    for (const { s: schema, n: name, estimate } of tables) {
      const table = `${schema === 'main' ? '' : `${schema}/`}${name}`;
      if (Number(estimate) >= exactRowsMax) {
        counts.push({ table, rows: Number(estimate) });
        continue;
      }
      const [row] = await client.query<{ n: string }>(
        `select count(*) as n from (select 1 from ${id(schema)}.${id(name)} limit ${exactRowsMax}) as counted`,
      );
      counts.push({ table, rows: Number(row?.n ?? 0) });
    }
    return counts.sort((a, b) => b.rows - a.rows || (a.table < b.table ? -1 : 1));
  });
}
