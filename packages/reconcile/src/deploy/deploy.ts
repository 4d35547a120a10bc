import { writePlan } from '@bough/store/deployments';
import { findEnvironment } from '@bough/store/environments';
import { listSteps } from '@bough/store/steps';
import { ensureData } from '../data/decide-data.ts';
import { withPendingData } from '../data/replace-data.ts';
import { repositoryOf } from '../observe.ts';
import { storePlan } from '../stored-plan.ts';
import { build } from './build.ts';
import { compile } from './compile.ts';
import {
  forgetSaved,
  hasPostDeployHook,
  restoreSaved,
  runDeployHooks,
  runPostDeployHooks,
} from './deploy-hook.ts';
import { startRelease, stopOtherReleases } from './release.ts';
import { announceRoutes, swapRoutes } from './routes.ts';
import type { DeploymentRun, PlannedRun } from './run.ts';
import { ensureServices, removeDroppedServices } from './services.ts';
import { runStep } from './step.ts';
import { verify } from './verify.ts';

/**
 * Brings an environment to its desired commit, step by step (DESIGN §6). Every step may be run again: after a crash the
 * same deployment goes on from the start, and what is there already costs nothing.
 */
export async function deploy(run: DeploymentRun): Promise<PlannedRun> {
  const { context } = run;
  const earlier = new Map(
    (await listSteps(context.pool, run.deployment.id)).map((step) => [step.name, step.state]),
  );

  await runStep(run, 'checkout', async (voice) => {
    const forge = context.forge(run.project.forge);
    await forge.fetch(repositoryOf(run.project), {
      mirror: run.mirror,
      commit: run.commit,
      signal: run.lock.signal,
    });
    await voice.note(run.commit.slice(0, 12));
    return { result: undefined };
  });

  const compiled = await runStep(run, 'compile', async (voice) => {
    const result = await compile(run, voice);
    await writePlan(context.pool, run.lock.fence, run.deployment.id, storePlan(result.plan, result.trees));
    await voice.note(`fingerprint ${result.plan.fingerprint.slice(0, 12)}`);
    return { result };
  });
  const planned: PlannedRun = { ...run, ...compiled };
  if (run.environment.releaseDeploymentId === null) await announceRoutes(planned, 'starting');

  const artifacts = await runStep(planned, 'build', async (voice) => {
    const built = await build(planned, voice);
    return { result: built.artifacts, state: built.cached ? 'cached' : 'done' };
  });

  const inherited = await runStep(planned, 'data', async (voice) => ({
    result: await ensureData(planned, voice),
  }));
  // The data step may have decided what the routes' access depends on, and which volumes are meant.
  const decided = (await findEnvironment(context.pool, run.environment.id)) ?? run.environment;
  const environment = withPendingData(decided, run.dataRequest);
  const informed: PlannedRun = { ...planned, environment };

  const services = await runStep(informed, 'services', async (voice) => {
    // Nothing was interrupted when the hook had ended: what is saved then is only not forgotten yet.
    if (earlier.get('deploy hook') === 'done') await forgetSaved(informed);
    else if (await restoreSaved(informed))
      voice.line('an earlier attempt was interrupted in its deploy hook; its data was put back');
    return { result: await ensureServices(informed, inherited, voice) };
  });

  if (earlier.get('deploy hook') !== 'done') {
    await runStep(informed, 'deploy hook', async (voice) => {
      const state = await runDeployHooks(informed, { artifacts, services }, voice);
      return { result: undefined, state };
    });
    // Not before the step is noted as done: a crash in between would run the hook on data that it has already changed.
    await forgetSaved(informed);
  }

  const addresses = await runStep(informed, 'release', async (voice) => {
    const started = await startRelease(informed, { artifacts, services }, voice);
    await swapRoutes(informed, started);
    return { result: started };
  });
  await runStep(informed, 'verify', async (voice) => {
    await verify(informed, voice);
    return { result: undefined };
  });
  if (hasPostDeployHook(informed)) {
    await stopEarlier(informed);
    await runStep(informed, 'post_deploy', async (voice) => {
      await runPostDeployHooks(informed, { artifacts, services, apps: addresses }, voice);
      return { result: undefined };
    }).catch((error: unknown) => {
      // Shown as a failed step; the release serves and stays.
      if (informed.lock.signal.aborted) throw error;
    });
  }
  return informed;
}

/** What the release that serves has replaced. Nobody waits for it: the deployment is ready before. */
export async function stopEarlier(run: PlannedRun): Promise<void> {
  await stopOtherReleases(run);
  await removeDroppedServices(run);
}
