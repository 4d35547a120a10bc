import type { Row, Watched } from '../invariant.ts';
import type { Job } from '../process.ts';
import type { Deed } from '../witness.ts';
import type { Holders } from './holders.ts';
import { isCapture, isRehearsal } from './no-resurrection.ts';

/** The environment of which a workload was just started, by nobody who has lost it a moment ago and has yet to notice. */
export function startedFor(
  deed: Deed,
  job: Job | undefined,
  { watched, holders }: { watched: Watched; holders: Holders },
): Row | undefined {
  if (deed.verb !== 'ensure' || deed.kind !== 'workload') return undefined;
  if (isCapture(deed.labels) || isRehearsal(deed.labels)) return undefined;
  const { environmentId } = deed.labels;
  if (holders.hasJustLost(environmentId, job, watched.now())) return undefined;
  return watched.environments.get(environmentId);
}
