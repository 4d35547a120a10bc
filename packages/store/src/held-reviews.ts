import type { Review } from '@bough/domain/review';
import type { Database } from './database.ts';

/** What is shown of the commit for which an environment is held; null when nothing is to be approved. */
export async function writeHeldReview(
  db: Database,
  environmentId: string,
  review: Review | null,
): Promise<void> {
  await db.query(
    'update environments set held_review = $2::jsonb where id = $1 and held_review is distinct from $2::jsonb',
    [environmentId, review === null ? null : JSON.stringify(review)],
  );
}

export async function readHeldReview(db: Database, environmentId: string): Promise<Review | null> {
  const { rows } = await db.query<{ review: Review | null }>(
    'select held_review as review from environments where id = $1',
    [environmentId],
  );
  return rows[0]?.review ?? null;
}
