import type { Client } from 'pg';
import type { ColumnPlan, MaskingPlan, TablePlan } from './decide.ts';
import type { Finding } from './finding.ts';
import { id, qualified } from './quote.ts';

/** Rows, nulls and distinct values of one table, by what they count. */
export type Counts = ReadonlyMap<string, ReadonlyMap<string, string>>;

/** Above this, distinct values are not counted: sorting them costs more than masking them. */
const distinctRowsMax = 500_000;
const sameDistinct: readonly ColumnPlan['rule']['rule'][] = ['email', 'hash', 'token', 'uuid', 'permuted-id'];
const changesNulls: readonly ColumnPlan['rule']['rule'][] = ['null', 'constant', 'sql'];

/** Taken before and after: a mask that collapses values shows here, where no detector would see it. */
export async function countTables(client: Client, plan: MaskingPlan): Promise<Counts> {
  const counts = new Map<string, ReadonlyMap<string, string>>();
  for (const table of plan.tables) counts.set(table.display, await countTable(client, table));
  return counts;
}

async function countTable(client: Client, table: TablePlan): Promise<ReadonlyMap<string, string>> {
  const from = `${table.table.kind === 'inherited' ? 'only ' : ''}${qualified(table.table)}`;
  const { rows: total } = await client.query<{ n: string }>(`select count(*) as n from ${from}`);
  const rows = total[0]?.n ?? '0';
  const wanted = new Map<string, string>();
  for (const { column, rule } of table.columns) {
    if (rule.rule === 'keep' || table.truncate) continue;
    const name = id(column.name);
    if (!changesNulls.includes(rule.rule)) wanted.set(`values in ${column.name}`, `count(${name})`);
    const stays = sameDistinct.includes(rule.rule) || (column.unique && column.typeClass === 'text');
    if (stays && !changesNulls.includes(rule.rule) && !column.isArray && Number(rows) <= distinctRowsMax)
      wanted.set(`distinct values in ${column.name}`, `count(distinct ${name})`);
  }
  const counted = new Map([['rows', rows]]);
  const names = [...wanted.keys()];
  if (names.length === 0) return counted;
  const { rows: results } = await client.query<Record<string, string>>(
    `select ${[...wanted.values()].map((sql, index) => `${sql} as c${index}`).join(', ')} from ${from}`,
  );
  for (const [index, name] of names.entries()) counted.set(name, results[0]?.[`c${index}`] ?? '0');
  return counted;
}

export function compareCounts(before: Counts, after: Counts): Finding[] {
  return [...before].flatMap(([display, counts]) =>
    [...counts].flatMap(([what, count]): Finding[] => {
      const now = after.get(display)?.get(what);
      return now === count
        ? []
        : [
            {
              code: 'counts',
              where: display,
              message: `${what}: ${count} before masking, ${now ?? 'none'} after.`,
              paste: null,
            },
          ];
    }),
  );
}

export function totalRows(counts: Counts): number {
  return [...counts.values()].reduce((sum, table) => sum + Number(table.get('rows') ?? 0), 0);
}
