import type { RehearsalCheck } from '@bough/domain/rehearsal';
import { withEnvironmentFile } from '@bough/manifest/environment-variables';
import type { PlannedApp } from '@bough/manifest/plan';
import type { Artifacts } from '../deploy/build.ts';
import type { PlannedRun, StepVoice } from '../deploy/run.ts';
import { surroundingsOf } from '../deploy/surroundings.ts';
import { type RehearsalStage, seclusionOf } from './rehearsal-stage.ts';

export interface HookOutcome extends RehearsalCheck {
  /** What the hook that failed said last. */
  readonly tail: readonly string[];
}

/** The deploy hooks as a deployment runs them, but on the stage's data and with nothing in reach but its services. */
export async function runHooksOn(
  run: PlannedRun,
  stage: RehearsalStage,
  with_: { artifacts: Artifacts; time: 'first' | 'second' },
  voice: StepVoice,
): Promise<HookOutcome> {
  const apps = run.plan.common.apps.filter((app) => app.deployHook !== null);
  for (const app of apps) {
    voice.line(`${app.name}: deploy hook, ${with_.time} time`);
    const { exitCode, killedBy, tail } = await runHook(
      run,
      stage,
      { app, artifacts: with_.artifacts },
      voice,
    );
    run.lock.signal.throwIfAborted();
    if (exitCode === 0) continue;
    const how =
      killedBy === 'timeout'
        ? `did not end within ${run.context.deadlines.hookMs / 60_000} minutes`
        : killedBy === 'memory'
          ? 'ran out of memory'
          : `failed with exit code ${exitCode}`;
    const again = with_.time === 'second' ? ' when it was run a second time' : " on production's data";
    return { verdict: 'fail', note: `the deploy hook of app "${app.name}" ${how}${again}`, tail };
  }
  const note =
    with_.time === 'second' ? 'a second run of the hook changes nothing that it must not' : 'it ran';
  return { verdict: 'pass', note, tail: [] };
}

async function runHook(
  run: PlannedRun,
  stage: RehearsalStage,
  { app, artifacts }: { app: PlannedApp; artifacts: Artifacts },
  voice: StepVoice,
) {
  const { context, lock } = run;
  const surroundings = await surroundingsOf(
    run,
    { app, relationships: app.relationships, mounts: app.mounts, env: app.env },
    {
      artifact: artifacts.get(app.name) ?? '',
      services: stage.services,
      apps: new Map(),
      mounts: stage.mounts,
    },
  );
  return await context.engine.run({
    ...surroundings,
    labels: {
      installationId: context.installationId,
      environmentId: run.environment.id,
      role: 'rehearsal',
      name: `${app.name} rehearsed hook`,
    },
    command: withEnvironmentFile(`set -e\n${app.deployHook ?? ''}`),
    seclusion: seclusionOf(stage),
    timeoutMs: context.deadlines.hookMs,
    signal: lock.signal,
    onOutput: voice.line,
  });
}
