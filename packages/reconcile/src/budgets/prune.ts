import { choosePrunable, type Kept, sumOf } from '@bough/domain/budget';
import { listBudgets, recordBudget } from '@bough/store/budgets';
import { appendEvent } from '@bough/store/events';
import type { Context } from '../context.ts';
import type { Shelf } from './shelf.ts';

/** In the queue `resync`: somebody asks to measure and prune now. */
export const PRUNE_KEY = 'prune';

/** Measuring reads every directory of what is kept, so not at each resync. */
const MEASURED_EVERY_MS = 10 * 60_000;

/** Prunes when it is time again, or when the disk has less left than is to stay free. */
export async function pruneWhenDue(context: Context, signal: AbortSignal): Promise<void> {
  if (context.shelves === undefined || !context.mayReap) return;
  const measured = await listBudgets(context.pool);
  const oldest = Math.min(...measured.map(({ measuredAt }) => measuredAt.getTime()));
  const isDue =
    measured.length < context.shelves.length ||
    context.clock.now().getTime() - oldest >= MEASURED_EVERY_MS ||
    (await lackingBytes(context)) > 0;
  if (isDue) await prune(context, signal);
}

/**
 * Measures what is kept of each kind and removes what is beyond the budgets, or what a full disk needs, by last use and
 * never what is in use. One kind that cannot be measured, or one thing that cannot be removed, does not keep the others.
 */
export async function prune(context: Context, signal: AbortSignal): Promise<void> {
  const { shelves } = context;
  if (shelves === undefined || !context.mayReap) return;
  const looked = await Promise.all(shelves.map((shelf) => look(context, shelf, signal)));
  const doomed = choosePrunable(
    looked.map(({ shelf, kept }) => ({ kind: shelf.kind, budgetBytes: shelf.budgetBytes, kept })),
    await lackingBytes(context),
  );
  const pruned: { kind: string; items: number; bytes: number }[] = [];
  for (const { shelf, kept, failure } of looked) {
    const going = doomed.filter(({ kind }) => kind === shelf.kind);
    const gone = await removeAll(context, shelf, going, signal);
    // A mirror is trimmed, not removed: what is left of it is measured.
    const after = gone.length === 0 ? { kept, failure } : await look(context, shelf, signal);
    const bytes = Math.max(0, sumOf(kept) - sumOf(after.kept));
    if (gone.length > 0) pruned.push({ kind: shelf.kind, items: gone.length, bytes });
    await recordBudget(context.pool, {
      ...{ kind: shelf.kind, budgetBytes: shelf.budgetBytes, failure: after.failure },
      ...{ usedBytes: sumOf(after.kept), items: after.kept.length },
      pinnedBytes: sumOf(after.kept.filter(({ isPinned }) => isPinned)),
      ...{ prunedItems: gone.length, prunedBytes: bytes },
    });
  }
  if (pruned.length === 0) return;
  context.log.info({ pruned }, 'pruned what nobody used');
  await appendEvent(context.pool, {
    ...{ projectId: null, environmentId: null, actor: 'bough', kind: 'storage.pruned' },
    detail: { pruned },
  });
}

async function look(
  context: Context,
  shelf: Shelf,
  signal: AbortSignal,
): Promise<{ shelf: Shelf; kept: readonly Kept[]; failure: string | null }> {
  try {
    return { shelf, kept: await shelf.list(signal), failure: null };
  } catch (error) {
    signal.throwIfAborted();
    context.log.warn({ kind: shelf.kind, error }, 'what is kept could not be measured; tried again later');
    return { shelf, kept: [], failure: error instanceof Error ? error.message : String(error) };
  }
}

async function removeAll(
  context: Context,
  shelf: Shelf,
  doomed: readonly Kept[],
  signal: AbortSignal,
): Promise<Kept[]> {
  const gone: Kept[] = [];
  for (const item of doomed) {
    signal.throwIfAborted();
    try {
      await shelf.remove(item.key, signal);
      gone.push(item);
    } catch (error) {
      signal.throwIfAborted();
      context.log.warn({ kind: shelf.kind, key: item.key, error }, 'could not be pruned; tried again later');
    }
  }
  return gone;
}

/** How much more has to be free before new work begins again (admission by disk). */
async function lackingBytes({ capacity }: Context): Promise<number> {
  if (capacity === undefined) return 0;
  const { diskAvailableBytes } = await capacity.measure();
  return Math.max(0, capacity.diskReserveBytes - diskAvailableBytes);
}
