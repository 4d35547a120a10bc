import { BoughError } from '@bough/domain/bough-error';
import { epochSuffix, volumeId } from '@bough/domain/names';
import { withEnvironmentFile } from '@bough/manifest/environment-variables';
import type { PlannedApp } from '@bough/manifest/plan';
import type { Artifacts } from './build.ts';
import { copyRunning } from './copy-running.ts';
import { whatServes } from './release.ts';
import type { PlannedRun, StepVoice } from './run.ts';
import {
  ensureServices,
  type RunningService,
  serviceVolumeId,
  serviceVolumeName,
  serviceWorkloadId,
} from './services.ts';
import { findStopped } from './stopped-meanwhile.ts';
import { type AppAddresses, surroundingsOf } from './surroundings.ts';

/**
 * Runs each app's deploy hook once, in the new artifact, beside the release that serves. It gates: when it fails, the
 * old release keeps serving. A preview's databases go back to what they were; production's are kept. What was saved
 * for that is the caller's to forget, once it is noted that the hooks have run.
 */
export async function runDeployHooks(
  run: PlannedRun,
  with_: { artifacts: Artifacts; services: readonly RunningService[] },
  voice: StepVoice,
): Promise<'done' | 'skipped'> {
  const apps = run.plan.common.apps.filter((app) => app.deployHook !== null);
  if (apps.length === 0) return 'skipped';
  const undoes = run.environment.kind === 'preview';
  if (undoes) await saveVolumes(run, with_.services);
  for (const app of apps) {
    try {
      await runHook(
        run,
        {
          app,
          script: app.deployHook ?? '',
          ...with_,
          apps: new Map(),
          code: 'deploy-hook-failed',
          hook: 'deploy',
        },
        voice,
      );
    } catch (error) {
      // When it was interrupted instead, what was saved stays: the next attempt starts from it.
      if (error instanceof BoughError && undoes) {
        if (await restoreSaved(run)) await ensureServices(run, {}, voice);
        await forgetSaved(run);
        voice.line('the data of this preview is back at what it was before the hook');
      }
      throw error;
    }
  }
  await voice.note(`ran in ${apps.map((app) => app.name).join(', ')}`);
  return 'done';
}

/** After the release: with traffic, so its failure is shown but changes nothing. */
export async function runPostDeployHooks(
  run: PlannedRun,
  with_: { artifacts: Artifacts; services: readonly RunningService[]; apps: AppAddresses },
  voice: StepVoice,
): Promise<void> {
  for (const app of run.plan.common.apps) {
    if (app.postDeployHook === null) continue;
    await runHook(
      run,
      { app, script: app.postDeployHook, ...with_, code: 'post-deploy-hook-failed', hook: 'post_deploy' },
      voice,
    );
  }
}

export function hasPostDeployHook(run: PlannedRun): boolean {
  return run.plan.common.apps.some((app) => app.postDeployHook !== null);
}

async function runHook(
  run: PlannedRun,
  what: {
    app: PlannedApp;
    script: string;
    artifacts: Artifacts;
    services: readonly RunningService[];
    apps: AppAddresses;
    code: string;
    hook: 'deploy' | 'post_deploy';
  },
  voice: StepVoice,
): Promise<void> {
  const { context, lock } = run;
  const { app } = what;
  const surroundings = await surroundingsOf(
    run,
    { app, relationships: app.relationships, mounts: app.mounts, env: app.env },
    { artifact: what.artifacts.get(app.name) ?? '', services: what.services, apps: what.apps },
  );
  const result = await context.engine.run({
    ...surroundings,
    labels: {
      installationId: context.installationId,
      environmentId: run.environment.id,
      role: 'web',
      name: `${app.name} ${what.hook}`,
      release: run.deployment.id,
    },
    command: withEnvironmentFile(`set -e\n${what.script}`),
    timeoutMs: context.deadlines.hookMs,
    signal: lock.signal,
    onOutput: voice.line,
  });
  lock.signal.throwIfAborted();
  if (result.exitCode === 0) return;
  const services = what.services.map(
    ({ declaration: { name } }) => [`Service "${name}"`, serviceWorkloadId(run, name)] as const,
  );
  const stopped = what.hook === 'deploy' ? await findStopped(context, services) : undefined;
  if (stopped !== undefined) throw stopped;
  const why =
    result.killedBy === 'timeout'
      ? `did not end within ${context.deadlines.hookMs / 60_000} minutes`
      : result.killedBy === 'memory'
        ? 'ran out of memory'
        : `failed with exit code ${result.exitCode}`;
  throw new BoughError({
    code: what.code,
    message: `The ${what.hook} hook of app "${app.name}" ${why}.`,
    hint:
      what.hook === 'deploy'
        ? `Fix the hook and push again. ${whatServes(run)}`
        : 'The release serves; only this hook did not end well. Fix it and push again.',
    tail: result.tail,
  });
}

/** Copies of a preview's databases as they are before the hook, so that a failing migration costs nothing. */
async function saveVolumes(run: PlannedRun, services: readonly RunningService[]): Promise<void> {
  const { context } = run;
  await forgetSaved(run);
  for (const { service, declaration, volume, address, credentials } of services) {
    if (volume === null || service.cloning === undefined) continue;
    await context.storage.snapshot(
      volume.id,
      {
        id: savedId(run, declaration.name),
        labels: { ...volume.labels, name: savedName(run, declaration.name) },
      },
      copyRunning(run, { service, declaration, address, credentials }),
    );
  }
}

/** Puts the databases back to what was saved before the hook. They are stopped then; `ensureServices` starts them. */
export async function restoreSaved(run: PlannedRun): Promise<boolean> {
  const { context } = run;
  const present = new Map((await context.storage.listSnapshots()).map((snapshot) => [snapshot.id, snapshot]));
  let restored = false;
  for (const { name } of run.plan.common.services) {
    const saved = present.get(savedId(run, name));
    if (saved === undefined) continue;
    await context.engine.stop(serviceWorkloadId(run, name));
    const id = serviceVolumeId(run, name);
    await context.storage.remove(id);
    await context.storage.ensure({
      id,
      from: saved.id,
      labels: { ...saved.labels, name: serviceVolumeName(run.environment, name) },
    });
    restored = true;
  }
  return restored;
}

export async function forgetSaved(run: PlannedRun): Promise<void> {
  for (const { name } of run.plan.common.services)
    await run.context.storage.removeSnapshot(savedId(run, name));
}

function savedId(run: PlannedRun, service: string): string {
  return volumeId({
    installationId: run.context.installationId,
    environmentId: run.environment.id,
    name: savedName(run, service),
  });
}

function savedName({ environment }: PlannedRun, service: string): string {
  return `before:${service}${epochSuffix(environment.dataEpoch)}`;
}
