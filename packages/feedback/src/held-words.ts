import type { Environment } from '@bough/domain/environment';
import { code, prose } from './markdown.ts';

/** Why it is held, and what becomes of what ran before: that sleeps, wakes and waits for a place like any other. */
export function heldWords(environment: Environment): string {
  const because = `because ${prose(environment.heldReason ?? '')}.`;
  if (environment.releaseDeploymentId === null) return `Nothing runs, ${because}`;
  const commit = code(environment.desiredCommit?.slice(0, 7) ?? '');
  return `${commit} does not run, ${because} ${earlierWords(environment)}`;
}

function earlierWords({ waitingReason, desiredState }: Environment): string {
  if (waitingReason !== null) return `What ran before waits to wake: ${prose(waitingReason)}.`;
  return desiredState === 'asleep' ? 'What ran before is asleep.' : 'What ran before keeps serving.';
}
