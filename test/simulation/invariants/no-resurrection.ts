import { expectationOf } from '../expectation.ts';
import type { Invariant } from '../invariant.ts';
import { createHolders } from './holders.ts';

/** What is removed stays removed: nothing is made for it again, and nothing of a closed pull request is there in the end. */
export function createNoResurrection(): Invariant {
  const holders = createHolders();
  return {
    name: 'no resurrection',
    lock(event, watched) {
      // Two at once are another invariant's affair.
      holders.note(event, watched.now());
      return undefined;
    },
    async deed(deed, job, watched) {
      const { environmentId } = deed.labels;
      if (deed.verb !== 'ensure' || isCapture(deed.labels) || isRehearsal(deed.labels)) return undefined;
      const row = watched.environments.get(environmentId);
      if (row === undefined || row.removed_at === null) return undefined;
      // Whoever has just lost the lock has a moment to notice.
      if (holders.hasJustLost(environmentId, job, watched.now())) return undefined;
      return `${deed.kind} ${deed.id} is made for environment ${environmentId}, which is removed`;
    },
    async atRest(rest, watched) {
      for (const pull of watched.forge.pulls.values()) {
        const subject = `pull/${pull.number}`;
        const expected = await expectationOf(pull, watched);
        if (expected.kind !== 'absent') continue;
        const living = rest.environments.find((row) => row.subject === subject && row.removedAt === null);
        if (living !== undefined) return `${subject} is ${pull.state} and its environment ${living.id} lives`;
      }
      return undefined;
    },
  };
}

export function isCapture(labels: object): boolean {
  return ('role' in labels && labels.role === 'capture') || ('kind' in labels && labels.kind === 'capture');
}

/** What a rehearsal makes is its own, and goes with it. */
export function isRehearsal(labels: object): boolean {
  return (
    ('role' in labels && labels.role === 'rehearsal') || ('kind' in labels && labels.kind === 'rehearsal')
  );
}
