import type { Environment } from '@bough/domain/environment';
import type { Workload } from '@bough/engine/engine';
import { cancelDeployments } from '@bough/store/deployments';
import { type EnvironmentLock, Interrupted } from '@bough/store/environment-lock';
import { setRouteState } from '@bough/store/routes';
import { writeSleeping } from '@bough/store/sleep';
import type { Context } from './context.ts';

/**
 * Stops every process of an environment: web, workers, services. Data, artifact, ports and logs stay, and so does the
 * address, at which the gateway now waits for a visitor. The route goes first, so that nobody meets half of it; services
 * go last, so that no app loses its database while it runs.
 */
export async function sleepEnvironment(
  context: Context,
  environment: Environment,
  lock: EnvironmentLock,
): Promise<void> {
  await cancelDeployments(context.pool, environment.id);
  await setRouteState(context.pool, environment.id, 'asleep');
  const workloads = await context.engine.list({ environmentId: environment.id });
  const isService = ({ labels }: Workload) => labels.role === 'service';
  await stopAll(
    context,
    workloads.filter((workload) => !isService(workload)),
  );
  lock.signal.throwIfAborted();
  await stopAll(context, workloads.filter(isService));
  if (!(await writeSleeping(context.pool, lock.fence))) throw new Interrupted('superseded');
}

async function stopAll(context: Context, workloads: readonly Workload[]): Promise<void> {
  await Promise.all(workloads.map(({ id }) => context.engine.stop(id)));
}
