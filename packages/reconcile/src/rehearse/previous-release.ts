import type { Environment } from '@bough/domain/environment';
import type { RehearsalCheck } from '@bough/domain/rehearsal';
import { withEnvironmentFile } from '@bough/manifest/environment-variables';
import type { PlannedApp } from '@bough/manifest/plan';
import { listDeploymentArtifacts } from '@bough/store/deployments';
import { readRelease } from '../data/golden.ts';
import type { PlannedRun, StepVoice } from '../deploy/run.ts';
import { surroundingsOf } from '../deploy/surroundings.ts';
import { type RehearsalStage, seclusionOf } from './rehearsal-stage.ts';

/** An app may answer with an error while it still warms up. */
const answerWithinMs = 15_000;
const answerTimeoutMs = 5_000;
const lookMs = 100;
const crashesMax = 3;

/** The release that serves production, as it would be started on the stage. */
export interface PreviousRelease {
  readonly run: PlannedRun;
  readonly artifacts: ReadonlyMap<string, string>;
  readonly apps: readonly PlannedApp[];
}

/** Or why it cannot be asked. */
export async function findPreviousRelease(
  run: PlannedRun,
  parent: Environment | null,
): Promise<PreviousRelease | { readonly reason: string }> {
  const { context } = run;
  if (parent === null) return { reason: 'production does not run on this Bough' };
  if (parent.releaseDeploymentId === null) return { reason: 'nothing serves production' };
  const release = await readRelease(context, run.project, parent, run.lock);
  const artifacts = new Map<string, string>();
  for (const { app, key } of await listDeploymentArtifacts(context.pool, parent.releaseDeploymentId)) {
    if ((await context.engine.artifacts.find(key)) !== undefined) artifacts.set(app, key);
  }
  const apps = release.plan.common.apps.filter((app) => app.web !== null);
  if (apps.length === 0) return { reason: 'the release that serves production has no web process' };
  const services = new Set(run.plan.common.services.map(({ name }) => name));
  const missing = apps.flatMap((app) => [
    ...(artifacts.has(app.name) ? [] : [`the artifact of "${app.name}" is gone`]),
    ...app.relationships
      .filter(({ target }) => !services.has(target))
      .map(({ target }) => `"${app.name}" needs "${target}", which is not on the clone`),
  ]);
  const [first] = missing;
  if (first !== undefined) return { reason: first };
  // Its variables are those of a preview: production's secrets are not for rehearsals.
  return { run: { ...release, environment: run.environment, secrets: run.secrets }, artifacts, apps };
}

/**
 * Starts the web processes of the previous release on the stage and asks each for its first page. Where it does not
 * answer, `openControl` gives a stage whose data was not migrated: what does not answer there either says nothing.
 */
export async function askPreviousRelease(
  previous: PreviousRelease,
  stage: RehearsalStage,
  openControl: () => Promise<RehearsalStage>,
  voice: StepVoice,
): Promise<RehearsalCheck> {
  for (const app of previous.apps) {
    const answer = await askApp(previous, stage, app);
    voice.line(`previous release on the migrated data: ${app.name} ${answer.words}`);
    if (answer.isFine) continue;
    const control = await askApp(previous, await openControl(), app);
    voice.line(`previous release on data that was not migrated: ${app.name} ${control.words}`);
    return control.isFine
      ? {
          verdict: 'fail',
          note: `the release that serves production does not work on the migrated data: ${app.name} ${answer.words}`,
        }
      : {
          verdict: 'not measured',
          note: `the release that serves production does not answer on a clone, migrated or not: ${app.name} ${control.words}`,
        };
  }
  return { verdict: 'pass', note: 'the release that serves production answers on the migrated data' };
}

interface Answer {
  readonly isFine: boolean;
  readonly words: string;
}

async function askApp(
  { run, artifacts }: PreviousRelease,
  stage: RehearsalStage,
  app: PlannedApp,
): Promise<Answer> {
  const { context, lock } = run;
  const { signal } = lock;
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
  const id = stage.idOf(`previous ${app.name}`);
  const scripts = [app.web?.preStart ?? null, app.web?.start ?? null].filter((script) => script !== null);
  const { address } = await context.engine.ensure(
    {
      ...surroundings,
      id,
      labels: {
        installationId: context.installationId,
        environmentId: run.environment.id,
        role: 'rehearsal',
        name: `previous ${app.name}`,
      },
      command: withEnvironmentFile(scripts.join('\n')),
      listens: true,
      stopSignal: 'SIGTERM',
      stopGraceMs: 1_000,
      seclusion: seclusionOf(stage),
    },
    { signal },
  );
  try {
    if (address === undefined) return { isFine: false, words: 'got no address' };
    return await untilAnswer(run, id, address);
  } finally {
    await context.engine.remove(id);
  }
}

async function untilAnswer(
  run: PlannedRun,
  id: string,
  address: { host: string; port: number },
): Promise<Answer> {
  const { context, lock } = run;
  const { signal } = lock;
  const now = () => context.clock.now().getTime();
  const listenUntil = now() + context.deadlines.listenMs;
  let answerUntil: number | undefined;
  let words = 'does not listen';
  for (;;) {
    signal.throwIfAborted();
    try {
      await context.network.accepts(address, signal);
      answerUntil ??= now() + answerWithinMs;
      const { status } = await context.network.get({
        ...address,
        path: '/',
        timeoutMs: answerTimeoutMs,
        signal,
      });
      words = `answers with status ${status}`;
      if (status < 500) return { isFine: true, words };
    } catch (error) {
      signal.throwIfAborted();
      if (answerUntil !== undefined) words = error instanceof Error ? error.message : String(error);
    }
    if (now() > (answerUntil ?? listenUntil)) return { isFine: false, words };
    if (((await context.engine.observe(id))?.restarts ?? 0) >= crashesMax)
      return { isFine: false, words: 'exits as soon as it is started' };
    await context.clock.sleep(lookMs, signal);
  }
}
