import type { ForeignKey } from '../catalogue.ts';
import type { MaskingPlan } from '../decide.ts';
import { id, qualified } from './quote.ts';
import type { Session } from './session.ts';

const orphanRoundsMax = 100;

/** In the raw copy, which nobody needs afterwards: rows that rules leave out, and those that refer to them. */
export async function removeRows(session: Session, plan: MaskingPlan): Promise<void> {
  const cut = plan.tables.filter(({ truncate, where }) => truncate || where !== null);
  for (const { table, truncate, where } of cut) {
    const name = qualified({ database: plan.database, name: table.name });
    await session.execute(
      truncate ? `delete from ${name}` : `delete from ${name} where not coalesce((${where}), 0)`,
    );
  }
  if (cut.length === 0) return;
  const orphans = plan.foreignKeys.map((key) => removal(plan.database, key));
  for (let round = 0; round < orphanRoundsMax; round += 1) {
    let removed = 0;
    for (const sql of orphans) removed += await session.execute(sql);
    if (removed === 0) return;
  }
}

function removal(database: string, key: ForeignKey): string {
  const { owner, target, orphan } = orphans(database, key);
  const nulls = key.columns.map((name) => `c.${id(name)} = null`).join(', ');
  return key.setsNull
    ? `update ${owner} c left join ${target} set ${nulls} where ${orphan}`
    : `delete c from ${owner} c left join ${target} where ${orphan}`;
}

/** References that lead nowhere, by key. */
export async function countOrphans(session: Session, plan: MaskingPlan): Promise<Map<string, string>> {
  const counts = new Map<string, string>();
  for (const key of plan.foreignKeys) {
    const { owner, target, orphan } = orphans(plan.database, key);
    const [row] = await session.query<{ n: string }>(
      `select count(*) as n from ${owner} c left join ${target} where ${orphan}`,
    );
    counts.set(`${key.table}.${key.name}`, String(row?.n));
  }
  return counts;
}

function orphans(database: string, key: ForeignKey): { owner: string; target: string; orphan: string } {
  const equal = key.columns.map(
    (name, index) => `p.${id(key.target.columns[index] ?? name)} = c.${id(name)}`,
  );
  const present = key.columns.map((name) => `c.${id(name)} is not null`);
  return {
    owner: qualified({ database, name: key.table }),
    target: `${qualified({ database, name: key.target.table })} p on ${equal.join(' and ')}`,
    orphan: `${present.join(' and ')} and p.${id(key.target.columns[0] ?? '')} is null`,
  };
}
