import type { Change, Invariant, Watched } from '../invariant.ts';
import { createHolders } from './holders.ts';
import { startedFor } from './started-for.ts';

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
      const row = startedFor(deed, job, { watched, holders });
      if (row === undefined || row.kind !== 'preview' || row.admitted_at !== null) return undefined;
      return `${deed.id} is started in environment ${deed.labels.environmentId}, which has no place`;
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
