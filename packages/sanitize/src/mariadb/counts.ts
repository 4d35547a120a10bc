import type { ColumnPlan, MaskingPlan, TablePlan } from '../decide.ts';
import { id, qualified } from './quote.ts';
import type { Session } from './session.ts';

/** Table → what is counted → how many. */
export type Counts = ReadonlyMap<string, ReadonlyMap<string, string>>;

/** Above this, distinct values are not counted: sorting them costs more than masking them. */
const distinctRowsMax = 500_000;
const sameDistinct: readonly ColumnPlan['rule']['rule'][] = ['email', 'hash', 'token', 'uuid', 'permuted-id'];
const changesNulls: readonly ColumnPlan['rule']['rule'][] = ['null', 'constant', 'sql'];

/** Of the raw copy and of the masked one: a mask that collapses values shows here, where no detector would see it. */
export async function countTables(session: Session, plan: MaskingPlan): Promise<Counts> {
  const counts = new Map<string, ReadonlyMap<string, string>>();
  for (const table of plan.tables) counts.set(table.display, await countTable(session, plan.database, table));
  return counts;
}

async function countTable(
  session: Session,
  database: string,
  table: TablePlan,
): Promise<ReadonlyMap<string, string>> {
  const from = qualified({ database, name: table.table.name });
  const [total] = await session.query<{ n: string }>(`select count(*) as n from ${from}`);
  const rows = String(total?.n);
  const counted = new Map([['rows', rows]]);
  const wanted = new Map<string, string>();
  for (const { column, rule } of table.truncate ? [] : table.columns) {
    if (rule.rule === 'keep' || changesNulls.includes(rule.rule)) continue;
    const name = id(column.name);
    wanted.set(`values in ${column.name}`, `count(${name})`);
    const stays = sameDistinct.includes(rule.rule) || (column.unique && column.typeClass === 'text');
    if (stays && Number(rows) <= distinctRowsMax && column.typeClass !== 'bytes')
      wanted.set(`distinct values in ${column.name}`, `count(distinct ${name})`);
  }
  const names = [...wanted.keys()];
  if (names.length === 0) return counted;
  const [found] = await session.query<Record<string, string>>(
    `select ${[...wanted.values()].map((sql, index) => `${sql} as c${index}`).join(', ')} from ${from}`,
  );
  for (const [index, name] of names.entries()) counted.set(name, String(found?.[`c${index}`]));
  return counted;
}
