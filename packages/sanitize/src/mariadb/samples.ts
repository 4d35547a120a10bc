import type { MaskingPlan } from '../decide.ts';
import { id, qualified } from './quote.ts';
import type { Session } from './session.ts';

const samplesPerColumn = 20;
const samplesMax = 4_000;
const rowsLooked = 2_000;
/** Shorter ones, or words alone, may stand elsewhere by right. */
const lengthMin = 10;
const lengthMax = 200;

/** Raw values of every masked column of text, those that could hardly be anybody else's by chance. Never print one. */
export async function takeSamples(session: Session, plan: MaskingPlan): Promise<string[]> {
  const values = new Set<string>();
  for (const { table, columns, truncate } of plan.tables) {
    const name = qualified({ database: plan.database, name: table.name });
    for (const { column, rule } of columns) {
      if (truncate || rule.rule === 'keep' || column.typeClass !== 'text') continue;
      const rows = await session.query<{ v: string }>(
        `select distinct v from (select ${id(column.name)} as v from ${name} limit ${rowsLooked}) s
         where char_length(v) between ${lengthMin} and ${lengthMax}
           and (v like '%@%' or char_length(regexp_replace(v, '[^0-9]', '')) >= 8 or char_length(v) >= 30)
         limit ${samplesPerColumn}`,
      );
      for (const { v } of rows) if (values.size < samplesMax) values.add(v);
    }
  }
  return [...values];
}
