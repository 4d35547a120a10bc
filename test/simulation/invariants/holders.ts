import type { LockEvent } from '../connections.ts';
import type { Job } from '../process.ts';

/** A lost connection aborts what runs within a second (DESIGN §5). */
const NOTICE_MS = 1_000;

/** Who holds which environment, and who did until just now. */
export interface Holders {
  /** What is wrong: two at once. */
  note(event: LockEvent, now: number): string | undefined;
  holds(environmentId: string, job: Job | undefined): boolean;
  hasJustLost(environmentId: string, job: Job | undefined, now: number): boolean;
}

export function createHolders(): Holders {
  const held = new Map<string, Set<number>>();
  const lost = new Map<string, number>();
  return {
    note({ environmentId, job, isTaken }, now) {
      if (job === undefined) return undefined;
      const holders = held.get(environmentId) ?? new Set();
      held.set(environmentId, holders);
      if (!isTaken) {
        holders.delete(job.id);
        lost.set(`${environmentId} ${job.id}`, now);
        return undefined;
      }
      holders.add(job.id);
      return holders.size > 1
        ? `environment ${environmentId} is held by runs ${[...holders].join(' and ')}`
        : undefined;
    },
    holds: (environmentId, job) => job !== undefined && held.get(environmentId)?.has(job.id) === true,
    hasJustLost(environmentId, job, now) {
      const at = lost.get(`${environmentId} ${job?.id}`);
      return at !== undefined && now - at <= NOTICE_MS;
    },
  };
}
