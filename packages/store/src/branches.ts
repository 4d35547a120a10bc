import type { BranchOrder } from '@bough/domain/branch-of';
import type { Environment } from '@bough/domain/environment';
import type pg from 'pg';
import { type Database, transaction } from './database.ts';
import { findLivingEnvironment } from './environments.ts';
import { insertRequest, openRequests, type Request } from './requests.ts';

export type AskedBranch =
  | { readonly kind: 'asked'; readonly request: Request }
  /** Something of that name lives, is asked for already, or has its address. */
  | { readonly kind: 'taken'; readonly by: Environment }
  | { readonly kind: 'asked before'; readonly by: Request }
  | { readonly kind: 'address taken'; readonly by: { readonly slug: string; readonly host: string } };

/** "branch" among our advisory locks. */
const BRANCH_LOCK_CLASS = 0xb00b;

/** Asks for a branch, once: of two who ask for one name at once, the second is told. */
export async function askForBranch(
  pool: pg.Pool,
  wish: { projectId: string; subject: string; slug: string; order: BranchOrder; askedBy: string },
): Promise<AskedBranch> {
  const { projectId, subject } = wish;
  return await transaction(pool, async (db) => {
    await db.query('select pg_advisory_xact_lock($1, $2::int)', [
      BRANCH_LOCK_CLASS,
      Number(projectId) % 2_147_483_647,
    ]);
    const living = await findLivingEnvironment(db, { projectId, subject });
    if (living !== undefined) return { kind: 'taken', by: living };
    const before = (await openRequests(db, { projectId, subject })).find(({ kind }) => kind === 'open');
    if (before !== undefined) return { kind: 'asked before', by: before };
    const host = await findRouteAt(db, wish.slug);
    if (host !== undefined) return { kind: 'address taken', by: host };
    const request = await insertRequest(db, {
      ...{ projectId, subject, kind: 'open', askedBy: wish.askedBy },
      argument: JSON.stringify(wish.order),
    });
    return { kind: 'asked', request };
  });
}

/** Whose address begins with this label: production's route `api.{default}` is where a branch called `api` would be. */
async function findRouteAt(db: Database, label: string): Promise<{ slug: string; host: string } | undefined> {
  const { rows } = await db.query<{ slug: string; host: string }>(
    `select e.slug, r.host from routes r join environments e on e.id = r.environment_id
     where split_part(r.host, '.', 1) = $1 limit 1`,
    [label],
  );
  return rows[0];
}
