import type { Environment } from '@bough/domain/environment';
import type { Delivery } from '@bough/store/deliveries';
import { clearMissing, writeMissing } from '@bough/store/environments';
import type { Context } from './context.ts';
import type { Observation } from './desire.ts';

/** Longer than replicas lag and most outages last. What is really gone costs a preview's room for as long. */
const BELIEVED_AFTER_MS = 3_600_000;
export const MISSING_AGAIN_MS = 60_000;

/**
 * A forge that cannot find what it has says the same as one that has it no more: 404. Only "closed" is said on purpose. So what
 * has an environment counts as gone when that was said for an hour without a break, or when a delivery says so too.
 */
export async function believeAbsence(
  context: Pick<Context, 'pool' | 'clock'>,
  of: {
    seen: Observation;
    current: Environment | undefined;
    deliveries: readonly Pick<Delivery, 'event'>[];
  },
): Promise<Observation> {
  const { seen, current, deliveries } = of;
  // Nothing is lost by believing it.
  if (current === undefined || current.desiredState === 'absent') return seen;
  if (!isAbsence(seen)) {
    if (current.facts.missingSince !== undefined) await clearMissing(context.pool, current.id);
    return seen;
  }
  if (seen.kind === 'branch' && deliveries.some(({ event }) => event === 'delete')) return seen;
  const now = context.clock.now();
  const since = await writeMissing(context.pool, { id: current.id, now });
  const until = new Date(since.getTime() + BELIEVED_AFTER_MS);
  return now >= until ? seen : { kind: 'missing', commit: current.desiredCommit, until };
}

function isAbsence(seen: Observation): boolean {
  return (seen.kind === 'pull' && seen.pull === 'gone') || (seen.kind === 'branch' && seen.head === 'gone');
}
