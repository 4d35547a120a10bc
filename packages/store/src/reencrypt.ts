import { BoughError } from '@bough/domain/bough-error';
import type { Database } from './database.ts';
import type { Encryption } from './encryption.ts';

/** Every encrypted column, with the context that its values are bound to (encryption.ts), as SQL. */
const SEALED = [
  {
    table: 'credentials',
    column: 'value_encrypted',
    context: `'credential:' || environment_id || ':' || name`,
  },
  { table: 'variables', column: 'value_encrypted', context: `'variable:' || project_id || ':' || name` },
  { table: 'snapshots', column: 'credentials_encrypted', context: `'snapshot:' || id` },
] as const;

/**
 * Writes every encrypted value anew: read with whichever key it names, written with the current one. Runs in the caller's
 * transaction, and locks the rows until then. Returns how many there were. A column that is not known here fails it,
 * because forgetting the former key would lose its values.
 */
export async function reencrypt(db: Database, encryption: Encryption): Promise<number> {
  await refuseUnknownColumns(db);
  let count = 0;
  for (const { table, column, context } of SEALED) {
    const { rows } = await db.query<{ at: string; value: Buffer; context: string }>(
      `select ctid::text as at, ${column} as value, ${context} as context from ${table} where ${column} is not null for update`,
    );
    for (const row of rows) {
      const value = encryption.encrypt(encryption.decrypt(row.value, row.context), row.context);
      await db.query(`update ${table} set ${column} = $1 where ctid = $2::tid`, [value, row.at]);
    }
    count += rows.length;
  }
  return count;
}

async function refuseUnknownColumns(db: Database): Promise<void> {
  const { rows } = await db.query<{ table: string; column: string }>(
    `select table_name as table, column_name as column from information_schema.columns
     where table_schema = 'public' and column_name like '%\\_encrypted'`,
  );
  const unknown = rows.find(
    (found) => !SEALED.some(({ table, column }) => table === found.table && column === found.column),
  );
  if (unknown === undefined) return;
  throw new BoughError({
    code: 'reencrypt-incomplete',
    message: `The encrypted column ${unknown.table}.${unknown.column} is not known to the rotation.`,
    hint: 'This is a mistake in Bough: nothing was changed. Update, or go on with the key that you have.',
  });
}
