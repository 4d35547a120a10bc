import type { Invariant } from '../invariant.ts';
import { createAsleepRunsNothing } from './asleep-runs-nothing.ts';
import { createDataIsKept } from './data-is-kept.ts';
import { createNewestCommitWins } from './newest-commit-wins.ts';
import { createNoResurrection } from './no-resurrection.ts';
import { createNotTooManyAwake } from './not-too-many-awake.ts';
import { createNothingRemovedUnasked } from './nothing-removed-unasked.ts';
import { createNothingWithoutOwner } from './nothing-without-owner.ts';
import { createOneReconcileAtATime } from './one-reconcile-at-a-time.ts';
import { createOneTrueComment } from './one-true-comment.ts';
import { createOnlyApprovedCode } from './only-approved-code.ts';
import { createProductionUntouched } from './production-untouched.ts';
import { createRoomInTurn } from './room-in-turn.ts';

/** Fresh ones for a history: they remember. Quiescence and visits are `simulate.ts`'s. */
export function createInvariants(): Invariant[] {
  return [
    createNewestCommitWins(),
    createNoResurrection(),
    createNothingWithoutOwner(),
    createNothingRemovedUnasked(),
    createOneTrueComment(),
    createOneReconcileAtATime(),
    createProductionUntouched(),
    createOnlyApprovedCode(),
    createAsleepRunsNothing(),
    createDataIsKept(),
    createNotTooManyAwake(),
    createRoomInTurn(),
  ];
}
