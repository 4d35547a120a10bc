import { nextRefresh, type RefreshSchedule } from '@bough/manifest/refresh-schedule';
import type { DataRefresh } from '@bough/store/data-refreshes';

export type RefreshDecision =
  | { readonly kind: 'due'; readonly why: string }
  | { readonly kind: 'later'; readonly at: Date | null };

/** Whether a new golden snapshot is to be made now. Pure. `retryAt`: the last capture failed, and when to try again. */
export function refreshDue(
  refresh: DataRefresh,
  of: {
    policyDigest: string;
    /** Of production's schema now; null: not seen. */
    schemaDigest: string | null;
    schedule: RefreshSchedule | null;
    retryAt: Date | null;
    now: Date;
  },
): RefreshDecision {
  const { askedAt, attemptedAt } = refresh;
  if (attemptedAt !== null && refresh.policyDigest !== of.policyDigest)
    return { kind: 'due', why: 'the data policy changed' };
  // Whoever asks for one sets this to now.
  if (of.retryAt !== null && of.retryAt > of.now) return { kind: 'later', at: of.retryAt };
  if (askedAt !== null && (attemptedAt === null || askedAt > attemptedAt))
    return { kind: 'due', why: `${refresh.askedBy ?? 'somebody'} asked for it` };
  if (of.retryAt !== null) return { kind: 'due', why: 'the last capture failed' };
  if (refresh.startedAt !== null) return { kind: 'due', why: 'the attempt before was cut short' };
  if (attemptedAt === null) return { kind: 'due', why: 'there was none yet' };
  const isOtherSchema =
    of.schemaDigest !== null && refresh.schemaDigest !== null && of.schemaDigest !== refresh.schemaDigest;
  if (isOtherSchema) return { kind: 'due', why: 'the schema of production changed' };
  const at = of.schedule === null ? null : nextRefresh(of.schedule, attemptedAt);
  if (at === null || at > of.now) return { kind: 'later', at };
  return { kind: 'due', why: `it is time (${of.schedule?.written})` };
}
