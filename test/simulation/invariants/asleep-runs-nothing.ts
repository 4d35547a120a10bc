import { environmentOf, maySleep } from '../expectation.ts';
import type { Invariant, Row } from '../invariant.ts';
import { createHolders } from './holders.ts';
import { isCapture, isRehearsal } from './no-resurrection.ts';
import { startedFor } from './started-for.ts';

/** What sleeps has no process at all, keeps its data and its address, and sleeps only for a reason. */
export function createAsleepRunsNothing(): Invariant {
  const holders = createHolders();
  return {
    name: 'asleep runs nothing',
    lock(event, watched) {
      holders.note(event, watched.now());
      return undefined;
    },
    async deed(deed, job, watched) {
      const row = startedFor(deed, job, { watched, holders });
      if (row === undefined || !isSettledAsleep(row)) return undefined;
      return `${deed.id} is started in environment ${deed.labels.environmentId}, which is asleep`;
    },
    async atRest(rest, watched) {
      for (const pull of watched.forge.pulls.values()) {
        const row = environmentOf(rest.environments, `pull/${pull.number}`);
        if (row === undefined || row.removedAt !== null || row.desiredState !== 'asleep') continue;
        if (row.heldReason !== null) continue;
        if (!maySleep(pull, row, watched)) return `${row.subject} sleeps, and nobody asked for that`;
        const awake = rest.workloads.find(
          ({ labels, state }) =>
            labels.environmentId === row.id &&
            state !== 'stopped' &&
            !isCapture(labels) &&
            !isRehearsal(labels),
        );
        if (awake !== undefined) return `${row.subject} is asleep and ${awake.id} runs`;
        const open = row.routes.find(({ state }) => state !== 'asleep');
        if (open !== undefined) return `${row.subject} is asleep and has a route that is ${open.state}`;
      }
      return undefined;
    },
  };
}

function isSettledAsleep(row: Row): boolean {
  return (
    row.desired_state === 'asleep' && row.generation === row.observed_generation && row.removed_at === null
  );
}
