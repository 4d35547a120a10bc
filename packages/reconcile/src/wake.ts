import type { Outcome } from '@bough/queue/consumer';
import { findEnvironment } from '@bough/store/environments';
import { appendEvent } from '@bough/store/events';
import { handleRequests, openRequests } from '@bough/store/requests';
import { writeAwake } from '@bough/store/sleep';
import type { Context } from './context.ts';
import { reconcile } from './reconcile.ts';

/**
 * Wakes an environment that somebody asked for: the row at once, without asking the forge, because a visitor stands
 * before it. A queue of its own, so that no visitor waits behind deployments. The key is the environment's id.
 */
export async function wake(context: Context, environmentId: string, signal: AbortSignal): Promise<Outcome> {
  const environment = await findEnvironment(context.pool, environmentId);
  if (environment === undefined || environment.removedAt !== null) return { kind: 'done' };
  const { projectId, subject, slug } = environment;
  const asked = (await openRequests(context.pool, { projectId, subject })).filter(
    ({ kind }) => kind === 'wake',
  );
  const [first] = asked;
  // Without a request nobody asked: a second look at a key, or somebody put it to sleep again since.
  if (first !== undefined && (await writeAwake(context.pool, environmentId))) {
    await appendEvent(context.pool, {
      projectId,
      environmentId,
      actor: first.askedBy,
      kind: 'environment.woken',
      detail: {},
    });
  }
  await handleRequests(
    context.pool,
    asked.map(({ id }) => id),
    `${slug} is woken`,
  );
  const row = await findEnvironment(context.pool, environmentId);
  if (row?.desiredState !== 'running') return { kind: 'done' };
  // A crash or a busy environment between here and there loses nothing: it is unsettled, and resync finds it.
  if (row.releaseDeploymentId === null) {
    await context.enqueue('reconcile', environmentId);
    return { kind: 'done' };
  }
  return await reconcile(context, environmentId, signal);
}
