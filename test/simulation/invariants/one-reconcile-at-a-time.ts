import type { Invariant } from '../invariant.ts';
import { isReconcile } from '../process.ts';
import { createHolders } from './holders.ts';

/** Only the one run that holds an environment does anything to it. */
export function createOneReconcileAtATime(): Invariant {
  const holders = createHolders();
  return {
    name: 'one reconcile at a time',
    lock: (event, watched) => holders.note(event, watched.now()),
    async deed(deed, job, watched) {
      if (!isReconcile(job)) return undefined;
      const { key } = job;
      if (holders.holds(key, job) || holders.hasJustLost(key, job, watched.now())) return undefined;
      return `run ${job.id} does ${deed.verb} ${deed.id} without holding environment ${key}`;
    },
  };
}
