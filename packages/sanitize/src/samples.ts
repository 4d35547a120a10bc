import type { Client } from 'pg';
import type { MaskingPlan } from './decide.ts';
import { id, qualified } from './quote.ts';

/** Raw values of columns that will be masked; only in memory, never printed. */
export interface Samples {
  readonly values: readonly string[];
}

const samplesPerColumn = 20;
const samplesMax = 4_000;
const rowsLooked = 2_000;
/** Shorter ones, or words alone, may stand elsewhere by right. */
const lengthMin = 10;
const lengthMax = 200;

/** Takes values from every masked column of text; those that could hardly be anybody else's by chance. */
export async function takeSamples(client: Client, plan: MaskingPlan): Promise<Samples> {
  const values = new Set<string>();
  for (const { table, columns, truncate } of plan.tables) {
    for (const { column, rule } of columns) {
      if (truncate || rule.rule === 'keep' || column.isArray || column.typeClass !== 'text') continue;
      const { rows } = await client.query<{ v: string }>(
        `select distinct v from (select ${id(column.name)}::text collate "C" as v from ${qualified(table)} limit ${rowsLooked}) s
         where length(v) between ${lengthMin} and ${lengthMax}
           and (v like '%@%' or length(regexp_replace(v, '[^0-9]', '', 'g')) >= 8 or length(v) >= 30)
         limit ${samplesPerColumn}`,
      );
      for (const { v } of rows) if (values.size < samplesMax) values.add(v);
    }
  }
  return { values: [...values] };
}
