import type { Database } from './database.ts';
import { Interrupted } from './environment-lock.ts';
import type { Fence } from './environments.ts';

export type HeldLease = Pick<Fence, 'environmentId' | 'lease'>;

/**
 * For writes beside an environment's row, by whoever has its lease: $1 is the environment, $2 the lease. The row is locked until
 * the write is done, so that nobody takes the lease in between.
 */
export const HELD = 'held as (select id from environments where id = $1 and lease = $2 for share)';

/** A process that was stopped for long may come back to work that another has by now. */
export function refuseUnheld(rows: readonly { readonly held: boolean }[]): void {
  if (rows[0]?.held !== true) throw new Interrupted('lock-lost');
}

/** The same for writes of several statements, at the beginning of their transaction. */
export async function holdLease(db: Database, { environmentId, lease }: HeldLease): Promise<void> {
  const { rows } = await db.query<{ held: boolean }>(
    `with ${HELD} select exists (select from held) as held`,
    [environmentId, lease],
  );
  refuseUnheld(rows);
}
