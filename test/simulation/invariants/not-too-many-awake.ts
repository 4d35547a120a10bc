import type { Change, Invariant, Watched } from '../invariant.ts';
import { createHolders } from './holders.ts';
import { isCapture, isRehearsal } from './no-resurrection.ts';

/** Never more previews have a place than may run at once, and only what has one runs. */
export function createNotTooManyAwake(): Invariant {
  const holders = createHolders();
  return {
    name: 'not too many awake',
    lock(event, watched) {
      holders.note(event, watched.now());
      return undefined;
    },
    change({ what, before, after }: Change, watched) {
      if (what !== 'environments' || after === null || !isAdmission(before, after)) return undefined;
      const { maxAwake } = watched.size;
      const count = admitted(watched);
      if (maxAwake !== null && count > maxAwake)
        return `${count} previews may run, and ${maxAwake} is the most`;
      return undefined;
    },
    async deed(deed, job, watched) {
      if (deed.verb !== 'ensure' || deed.kind !== 'workload') return undefined;
      if (isCapture(deed.labels) || isRehearsal(deed.labels)) return undefined;
      const { environmentId } = deed.labels;
      const row = watched.environments.get(environmentId);
      if (row === undefined || row.kind !== 'preview' || row.admitted_at !== null) return undefined;
      // Whoever has just lost the lock has a moment to notice.
      if (holders.hasJustLost(environmentId, job, watched.now())) return undefined;
      return `${deed.id} is started in environment ${environmentId}, which has no place`;
    },
  };
}

/** It had no place, and has one now. */
export function isAdmission(before: Change['before'], after: NonNullable<Change['after']>): boolean {
  return after.kind === 'preview' && after.admitted_at !== null && (before?.admitted_at ?? null) === null;
}

function admitted({ environments }: Watched): number {
  return [...environments.values()].filter(
    (row) => row.kind === 'preview' && row.admitted_at !== null && row.removed_at === null,
  ).length;
}
