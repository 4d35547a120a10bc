import type { Environment } from '@bough/domain/environment';
import { listDeploymentArtifacts } from '@bough/store/deployments';
import type { EnvironmentLock } from '@bough/store/environment-lock';
import type { Project } from '@bough/store/projects';
import type { Context } from './context.ts';
import { readRelease } from './data/golden.ts';
import { startRelease, stopOtherReleases } from './deploy/release.ts';
import { swapRoutes } from './deploy/routes.ts';
import type { PlannedRun, StepVoice } from './deploy/run.ts';
import { ensureServices, removeDroppedServices } from './deploy/services.ts';
import type { Laps } from './laps.ts';
import type { Policy } from './policy.ts';
import { withoutSecrets } from './without-secrets.ts';

/**
 * Brings the release that serves back to life: after a reboot, after a crash of a supervisor, or after a newer release
 * failed once it had taken over. Nothing is built and no hook runs.
 */
export async function restoreRelease(
  context: Context,
  of: {
    project: Project;
    environment: Environment;
    lock: EnvironmentLock;
    policy: Policy | null;
    /** Nothing was deployed since: its services are as its own deployment left them. */
    isAsDeployed: boolean;
    laps: Laps;
  },
): Promise<void> {
  const { laps } = of;
  const release = await readRelease(context, of.project, of.environment, of.lock);
  const run: PlannedRun = { ...release, policy: of.policy };
  const voice: StepVoice = {
    line: (text) => context.log.info({ environmentId: of.environment.id, text }, 'restoring a release'),
    note: async () => {},
  };
  const artifacts = new Map(
    (await listDeploymentArtifacts(context.pool, run.deployment.id)).map((use) => [use.app, use.key]),
  );
  try {
    laps.end('read');
    const services = await ensureServices(run, {}, voice, { areProvisioned: of.isAsDeployed });
    laps.end('services');
    const addresses = await startRelease(run, { artifacts, services }, voice);
    laps.end('apps');
    await swapRoutes(run, addresses);
    laps.end('routes');
    await stopOtherReleases(run);
    await removeDroppedServices(run);
  } catch (error) {
    throw withoutSecrets(error, run.secrets);
  }
}
