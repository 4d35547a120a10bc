import type { TablePlan } from '../decide.ts';
import { type MaskContext, sourceExpression, valueMask } from './mask-value.ts';
import { id, qualified } from './quote.ts';
import type { Session } from './session.ts';

const statementBytes = 1_000_000;
const statementRows = 2_000;

/** Reads a table, masks each row and writes it to the other server; the next rows are read while those are written. */
export async function copyTable(
  from: Session,
  to: Session,
  of: { database: string; plan: TablePlan; context: MaskContext },
): Promise<number> {
  const { plan } = of;
  if (plan.truncate || plan.columns.length === 0) return 0;
  const table = qualified({ database: of.database, name: plan.table.name });
  const names = plan.columns.map(({ column }) => id(column.name));
  const masks = plan.columns.map((column) => valueMask(column, of.context));
  const picked = plan.columns.map((column, index) => sourceExpression(column, names[index] ?? ''));
  const insert = `insert into ${table} (${names.join(', ')}) values `;
  let rows = 0;
  let batch: string[] = [];
  let bytes = 0;
  let writing: Promise<unknown> = Promise.resolve();
  // Kept rejections must not count as unhandled while the next batch is read.
  const flush = async () => {
    await writing;
    const sql = `${insert}${batch.join(',')}`;
    batch = [];
    bytes = 0;
    writing = to.execute(sql);
    writing.catch(() => {});
  };
  for await (const row of from.stream(`select ${picked.join(', ')} from ${table}`)) {
    const values = `(${masks.map((mask, index) => mask(row[index] ?? null)).join(',')})`;
    batch.push(values);
    bytes += values.length;
    rows += 1;
    if (bytes >= statementBytes || batch.length >= statementRows) await flush();
  }
  if (batch.length > 0) await flush();
  await writing;
  return rows;
}
