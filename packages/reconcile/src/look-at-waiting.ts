import { listWaitingSubjects } from '@bough/store/preview-limits';
import type { Context } from './context.ts';
import { observeKey } from './observe.ts';

/** The next ones, and some behind them, whose place is told anew; a look asks the forge, so not all of many. */
const WAITING_LOOKED_AT = 10;

/** A preview is gone, or the policy has changed: whoever waits for room in the project is judged anew. */
export async function lookAtWaiting(
  context: Pick<Context, 'pool' | 'enqueue'>,
  projectId: string,
  count = WAITING_LOOKED_AT,
): Promise<void> {
  for (const subject of await listWaitingSubjects(context.pool, projectId, count))
    await context.enqueue('observe', observeKey(projectId, subject));
}
