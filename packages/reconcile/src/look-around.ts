import type { Environment } from '@bough/domain/environment';
import { findDeployment, listDeploymentArtifacts } from '@bough/store/deployments';
import { listRoutes } from '@bough/store/routes';
import type { Context } from './context.ts';
import { readRelease } from './data/golden.ts';
import type { World } from './decide.ts';
import { releaseWorkloadIds } from './deploy/release.ts';
import { serviceWorkloadId } from './deploy/services.ts';
import type { Locked } from './locked.ts';

/** What `decide` has to know of the world: how much of the release runs, and whether its addresses serve. */
export async function lookAround(context: Context, of: Locked): Promise<World> {
  const { environment } = of;
  // Something newer is wanted: what runs does not decide anything, and a release that cannot be read must not keep it.
  const isBehind = environment.generation !== environment.observedGeneration;
  if (isBehind || environment.releaseDeploymentId === null || environment.desiredState !== 'running') {
    const releaseIsWanted = await isReleaseWanted(context, environment);
    const release = { wanted: 0, running: 0, stale: 0 };
    return { release, routesServing: true, releaseIsWanted, now: context.clock.now() };
  }
  const run = await readRelease(context, of.project, environment, of.lock);
  const wanted = releaseWorkloadIds(run);
  const services = new Set(run.plan.common.services.map(({ name }) => serviceWorkloadId(run, name)));
  const present = await context.engine.list({ environmentId: environment.id });
  const running = present.filter(
    (workload) => workload.state !== 'stopped' && (wanted.includes(workload.id) || services.has(workload.id)),
  );
  const routes = await listRoutes(context.pool, environment.id);
  return {
    release: {
      wanted: wanted.length + services.size,
      running: running.length,
      stale: present.filter(
        ({ id, labels }) =>
          (labels.release !== undefined && !wanted.includes(id)) ||
          // Of data that was replaced, or dropped by the release: whoever was to remove it died.
          (labels.role === 'service' && !services.has(id)),
      ).length,
    },
    routesServing: routes.every((route) => route.state === 'serving'),
    releaseIsWanted: true,
    now: context.clock.now(),
  };
}

/** Sleep and wake change nothing of what an environment is made of: a verified release of it is as good as a new one. */
async function isReleaseWanted(context: Context, environment: Environment): Promise<boolean> {
  const { releaseDeploymentId, desiredState, heldReason } = environment;
  if (releaseDeploymentId === null || desiredState !== 'running' || heldReason !== null) return false;
  const release = await findDeployment(context.pool, releaseDeploymentId);
  if (release?.state !== 'ready' || BigInt(release.generation) < BigInt(environment.deployGeneration))
    return false;
  for (const { key } of await listDeploymentArtifacts(context.pool, release.id))
    if ((await context.engine.artifacts.find(key)) === undefined) return false;
  return true;
}
