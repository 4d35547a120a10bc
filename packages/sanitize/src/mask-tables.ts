import pg from 'pg';
import type { MaskingPlan, TablePlan } from './decide.ts';
import { maskTable, type Statement } from './masking-sql.ts';
import { withoutValues } from './session.ts';
import { shareOut } from './share-out.ts';

/**
 * Rewrites the tables, several at a time and the largest first. A rule in SQL may read other tables: one that has any is
 * masked by itself, in the place that it has in the plan.
 */
export async function maskTables(
  clients: readonly pg.Client[],
  plan: MaskingPlan,
  of: { rowsOf: (table: TablePlan) => number; masked: (table: TablePlan, tookMs: number) => void },
): Promise<void> {
  for (const batch of independent(plan.tables)) {
    const largestFirst = batch.toSorted((a, b) => of.rowsOf(b) - of.rowsOf(a));
    const again: TablePlan[] = [];
    const mask = async (client: pg.Client, table: TablePlan, isAlone: boolean) => {
      const from = Date.now();
      for (const statement of maskTable(table)) {
        const done = await rewrite(client, statement, isAlone);
        if (!done) return void again.push(table);
      }
      if (table.method !== 'none' && !table.truncate) of.masked(table, Date.now() - from);
    };
    await shareOut(clients, largestFirst, (client, table) => mask(client, table, clients.length === 1));
    for (const table of again.splice(0))
      await shareOut(clients.slice(0, 1), [table], (one) => mask(one, table, true));
  }
}

function independent(tables: readonly TablePlan[]): TablePlan[][] {
  const batches: TablePlan[][] = [[]];
  for (const table of tables) {
    if (table.columns.some(({ rule }) => rule.rule === 'sql')) batches.push([table], []);
    else batches.at(-1)?.push(table);
  }
  return batches;
}

/** Deadlock, and a lock waited for in vain: constraints may read other tables, by functions of which nobody can know. */
const lockConflicts = ['40P01', '55P03'];

/** False when it got into the way of another table's rewrite, and has to be done once that is through. */
async function rewrite(client: pg.Client, { where, sql }: Statement, isAlone: boolean): Promise<boolean> {
  try {
    await client.query(sql);
    return true;
  } catch (error) {
    const code = error instanceof pg.DatabaseError ? (error.code ?? '') : '';
    if (!isAlone && lockConflicts.includes(code)) return false;
    throw withoutValues(error, `masking ${where}`);
  }
}
