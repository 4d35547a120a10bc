import type { Environment } from '@bough/domain/environment';
import { cancelDeployments, listDeployments } from '@bough/store/deployments';
import { type EnvironmentLock, Interrupted } from '@bough/store/environment-lock';
import { writeDismantled, writeRemoved, writeRunningStep } from '@bough/store/environments';
import { appendEvent } from '@bough/store/events';
import { deleteRoutes } from '@bough/store/routes';
import { askForFeedback } from './ask-for-feedback.ts';
import type { Context } from './context.ts';
import { lookAtWaiting } from './look-at-waiting.ts';
import { untilRehearsalEnds } from './rehearse/until-rehearsal-ends.ts';

/**
 * Removes everything that an environment is made of: route first, so that nobody meets half of it, then workloads,
 * volumes, snapshots and logs. What is found by label is removed, not what we remember. Feedback then says goodbye on
 * the forge.
 */
export async function removeEnvironment(
  context: Context,
  environment: Environment,
  lock: EnvironmentLock,
): Promise<void> {
  if (!(await writeRunningStep(context.pool, lock.fence, 'remove'))) throw new Interrupted('superseded');
  await askForFeedback(context, environment.id);
  const holdUp = (point: string) =>
    context.faultPoint?.({ slug: environment.slug, point, signal: lock.signal });
  await holdUp('before-remove');
  await cancelDeployments(context.pool, lock.fence);
  await deleteRoutes(context.pool, lock.fence);
  lock.signal.throwIfAborted();
  // It ends by itself within a second, and what it is just making must not come after this.
  await untilRehearsalEnds(context, environment.id, lock.signal);
  const workloads = await context.engine.list({ environmentId: environment.id });
  await Promise.all(workloads.map((workload) => context.engine.remove(workload.id)));
  await holdUp('during-remove');
  lock.signal.throwIfAborted();
  if (!(await writeDismantled(context.pool, lock.fence))) throw new Interrupted('superseded');
  // To the end now, also when it is wanted again: half of its volumes would be worth nothing.
  await removeVolumes(context, environment);
  // Logs of a preview go with it; what happened stays in the deployments' rows.
  for (const deployment of await listDeployments(context.pool, environment.id, 200)) {
    await context.stepLogs.remove(deployment.id);
  }
  await holdUp('after-remove');
  if (!(await writeRemoved(context.pool, lock.fence))) throw new Interrupted('superseded');
  await appendEvent(context.pool, {
    projectId: environment.projectId,
    environmentId: environment.id,
    actor: 'bough',
    kind: 'environment.removed',
    detail: { workloads: workloads.length },
  });
  await lookAtWaiting(context, environment.projectId).catch((error: unknown) => {
    context.log.warn({ environmentId: environment.id, error }, 'who waits is looked at by the next resync');
  });
}

/** Production's volumes are never removed by Bough (DESIGN §5). */
async function removeVolumes(context: Context, environment: Environment): Promise<void> {
  if (environment.kind === 'production') return;
  const mine = (labels: { environmentId: string; installationId: string }) =>
    labels.environmentId === environment.id && labels.installationId === context.installationId;
  for (const volume of await context.storage.list())
    if (mine(volume.labels)) await context.storage.remove(volume.id);
  for (const snapshot of await context.storage.listSnapshots()) {
    if (mine(snapshot.labels)) await context.storage.removeSnapshot(snapshot.id);
  }
}
