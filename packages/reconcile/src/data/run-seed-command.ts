import { stripVTControlCharacters } from 'node:util';
import { BoughError } from '@bough/domain/bough-error';
import type { RunResult } from '@bough/engine/engine';
import { withEnvironmentFile } from '@bough/manifest/environment-variables';
import type { SeedSource } from '@bough/manifest/manifest';
import type { PlannedApp } from '@bough/manifest/plan';
import type { AppRun, StepVoice } from '../deploy/run.ts';
import { surroundingsOf } from '../deploy/surroundings.ts';
import type { SeedStage } from './seed-stage.ts';

const commandShownMax = 100;
const linesShown = 5;
const lineShownMax = 200;

/** For people and the signed report: `seed command "npm run seed" of app "web"`. */
export function seedWords({ command, app }: SeedSource): string {
  const [first = '', ...more] = command.split('\n');
  const isWhole = more.length === 0 && first.length <= commandShownMax;
  return `seed command "${isWhole ? first : `${first.slice(0, commandShownMax)}…`}" of app "${app}"`;
}

/** As a deploy hook is run, but on the servers of the stage and on nothing else that lasts. */
export async function runSeedCommand(
  run: AppRun,
  of: { app: PlannedApp; source: SeedSource; artifact: string; stage: SeedStage },
  voice: StepVoice,
): Promise<void> {
  const { context, lock } = run;
  const { app, source, artifact, stage } = of;
  const surroundings = await surroundingsOf(
    run,
    { app, relationships: app.relationships, mounts: app.mounts, env: app.env },
    { artifact, services: stage.services, apps: new Map(), mounts: stage.mounts },
  );
  const result = await context.engine.run({
    ...surroundings,
    labels: {
      installationId: context.installationId,
      environmentId: run.environment.id,
      role: 'capture',
      name: `${app.name} seed`,
    },
    command: withEnvironmentFile(`set -e\n${source.command}`),
    timeoutMs: context.deadlines.hookMs,
    signal: lock.signal,
    onOutput: (text) => voice.line(`${app.name} seed: ${plain(text)}`),
  });
  lock.signal.throwIfAborted();
  if (result.exitCode !== 0) throw seedFailed(run, source, result);
}

/** It is shown to people in one line, and kept in a row, which takes no NUL. */
function plain(line: string): string {
  return stripVTControlCharacters(line).replace(/\p{Cc}/gu, ' ');
}

function seedFailed({ context, project }: AppRun, source: SeedSource, result: RunResult): BoughError {
  const { killedBy, exitCode, tail } = result;
  const why =
    killedBy === 'timeout'
      ? `did not end within ${context.deadlines.hookMs / 60_000} minutes`
      : killedBy === 'memory'
        ? 'ran out of memory'
        : `failed with exit code ${exitCode}`;
  // The message is what is kept of it, so its last lines are in there.
  const last = tail.slice(-linesShown).map((line) => plain(line).slice(0, lineShownMax));
  return new BoughError({
    code: 'seed-failed',
    message: `The ${seedWords(source)} ${why}${last.length === 0 ? ' and said nothing.' : `. Its last lines: ${last.join(' | ')}`}`,
    hint: `Mend it in the default branch, then: bough data refresh ${project.slug}`,
    tail,
  });
}
