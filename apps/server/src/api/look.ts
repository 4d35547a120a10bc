import { observeKey } from '@bough/reconcile/observe';
import { listEnvironments } from '@bough/store/environments';
import type { ServerOptions } from '../options.ts';

type Context = Pick<ServerOptions, 'pool' | 'queues' | 'log'>;

/**
 * Asks observe to look at a subject. False when the queue is down: what there is to see is in the store already, and
 * resync looks later, so that is no failure of the request.
 */
export async function look(context: Context, projectId: string, subject: string): Promise<boolean> {
  try {
    await context.queues.enqueue('observe', observeKey(projectId, subject));
    return true;
  } catch (error) {
    context.log.warn({ err: error, projectId, subject }, 'look not queued');
    return false;
  }
}

/** A queue that is down costs only time: observe finds the same request. */
export async function wakeSoon(context: Context, environmentId: string): Promise<void> {
  await context.queues.enqueue('wake', environmentId).catch((error: unknown) => {
    context.log.warn({ err: error, environmentId }, 'wake not queued');
  });
}

/** Production is looked at even if it is not there yet: the change may be what brings it about. */
export async function lookAtProject(context: Context, projectId: string): Promise<boolean> {
  const environments = await listEnvironments(context.pool, { projectId });
  const subjects = new Set(['production', ...environments.map(({ subject }) => subject)]);
  for (const subject of subjects) {
    if (!(await look(context, projectId, subject))) return false;
  }
  return true;
}
