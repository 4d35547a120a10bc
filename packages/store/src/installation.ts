import type { Database } from './database.ts';

/**
 * The installation's id as the database knows it; written at the first start. When it is not the one of BOUGH_HOME, one
 * of the two is empty, restored or somebody else's, and nothing may be reaped until a person says which is right.
 */
export async function claimInstallation(db: Database, id: string): Promise<{ id: string; isOurs: boolean }> {
  await db.query('insert into installation (id) values ($1) on conflict (singleton) do nothing', [id]);
  const { rows } = await db.query<{ id: string }>('select id from installation');
  const stored = rows[0]?.id ?? id;
  return { id: stored, isOurs: stored === id };
}

/** What volumes are kept on, as the worker found it at its start. */
export interface StorageChoiceRow {
  readonly kind: string;
  /** Every kind that was tried, in order, and what came of it. */
  readonly tried: readonly { readonly kind: string; readonly ok: boolean; readonly why: string }[];
}

export async function writeStorageChoice(db: Database, choice: StorageChoiceRow): Promise<void> {
  await db.query('update installation set storage = $1', [JSON.stringify(choice)]);
}

export async function readStorageChoice(db: Database): Promise<StorageChoiceRow | undefined> {
  const { rows } = await db.query<{ storage: StorageChoiceRow | null }>('select storage from installation');
  return rows[0]?.storage ?? undefined;
}
