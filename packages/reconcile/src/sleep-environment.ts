import type { Secret } from '@bough/domain/secret';
import type { Workload } from '@bough/engine/engine';
import { writePlaceFree } from '@bough/store/admission';
import { cancelDeployments } from '@bough/store/deployments';
import { Interrupted } from '@bough/store/environment-lock';
import { setRouteState } from '@bough/store/routes';
import { writeSleeping } from '@bough/store/sleep';
import type { Context } from './context.ts';
import { compile } from './deploy/compile.ts';
import { announceRoutes } from './deploy/routes.ts';
import type { Locked } from './locked.ts';
import { mirrorOf, repositoryOf } from './observe.ts';
import type { Policy } from './policy.ts';

/**
 * Stops every process of an environment: web, workers, services. Data, artifact, ports and logs stay, and so does the
 * address, at which the gateway now waits for a visitor. The route goes first, so that nobody meets half of it; services
 * go last, so that no app loses its database while it runs.
 */
export async function sleepEnvironment(
  context: Context,
  of: Locked,
  readPolicy: () => Promise<Policy | null>,
): Promise<void> {
  const { environment, lock } = of;
  await cancelDeployments(context.pool, lock.fence);
  await setRouteState(context.pool, lock.fence, 'asleep');
  const workloads = await context.engine.list({ environmentId: environment.id });
  const isService = ({ labels }: Workload) => labels.role === 'service';
  await stopAll(
    context,
    workloads.filter((workload) => !isService(workload)),
  );
  lock.signal.throwIfAborted();
  await stopAll(context, workloads.filter(isService));
  // What follows may fail, and must not keep a place that nobody takes.
  if (!(await writePlaceFree(context.pool, lock.fence))) throw new Interrupted('superseded');
  // What never ran has no address yet, and only its manifest says which it is to have.
  if (environment.releaseDeploymentId === null) await announceAsleep(context, of, await readPolicy());
  if (!(await writeSleeping(context.pool, lock.fence))) throw new Interrupted('superseded');
}

export async function stopAll(context: Context, workloads: readonly Workload[]): Promise<void> {
  await Promise.all(workloads.map(({ id }) => context.engine.stop(id)));
}

async function announceAsleep(
  context: Context,
  { environment, project, lock }: Locked,
  policy: Policy | null,
): Promise<void> {
  const commit = environment.desiredCommit;
  if (commit === null) return;
  const mirror = mirrorOf(context, project);
  const at = { mirror, commit, signal: lock.signal };
  await context.forge(project.forge).fetch(repositoryOf(project), at);
  const secrets = new Set<Secret>();
  const run = { context, lock, project, environment, commit, mirror, policy, secrets };
  const { plan } = await compile(run, { line: () => {}, note: async () => {} });
  await announceRoutes({ ...run, plan }, 'asleep');
}
