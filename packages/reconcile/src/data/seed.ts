import { BoughError } from '@bough/domain/bough-error';
import { redact } from '@bough/domain/secret';
import type { SeedSource } from '@bough/manifest/manifest';
import type { PlannedApp } from '@bough/manifest/plan';
import { ensureArtifact, readBuildInputs } from '../deploy/build-artifact.ts';
import { type AppRun, type CaptureRun, type StepVoice, Waiting } from '../deploy/run.ts';
import { repositoryOf } from '../observe.ts';
import type { RawService } from './capture-together.ts';
import { runSeedCommand, seedWords } from './run-seed-command.ts';
import { seedRunOf } from './seed-run.ts';
import { openSeedStage, type SeedStage } from './seed-stage.ts';
import type { SeedableService } from './sourced-services.ts';

/**
 * Raw copies of what seed commands wrote into empty private servers: from here on they are captured data like any other. A
 * command that several services name runs once, with all of them. Throws with raw copies left, whose names the caller knows.
 */
export async function seedServices(
  parent: CaptureRun,
  of: { snapshotRowId: string; wanted: readonly SeedableService[] },
  voice: StepVoice,
): Promise<RawService[]> {
  const seeded: RawService[] = [];
  for (const services of bySeed(of.wanted))
    seeded.push(...(await seedTogether(parent, { ...of, services }, voice)));
  return seeded;
}

type Together = readonly [SeedableService, ...SeedableService[]];

function bySeed(wanted: readonly SeedableService[]): Together[] {
  const groups = new Map<string, Together>();
  for (const service of wanted) {
    const key = JSON.stringify([service.source.app, service.source.command]);
    const group = groups.get(key);
    groups.set(key, group === undefined ? [service] : [...group, service]);
  }
  return [...groups.values()];
}

async function seedTogether(
  parent: CaptureRun,
  { snapshotRowId, services }: { snapshotRowId: string; services: Together },
  unfiltered: StepVoice,
): Promise<RawService[]> {
  const { storage } = parent.context;
  const run = seedRunOf(parent, snapshotRowId);
  const voice = redacting(run, unfiltered);
  const [{ source }] = services;
  const app = appOf(run, source);
  const artifact = await buildPatiently(run, app, voice);
  const names = services.map(({ planned }) => planned.name);
  const stage = await openSeedStage(parent, { snapshotRowId, app, names }, voice);
  try {
    await voice.note(`running the ${seedWords(source)}`);
    await runSeedCommand(run, { app, source, artifact, stage }, voice);
    await refuseUnfilled(services, stage);
    await stage.stop();
    for (const { ids, labels } of services) await storage.snapshot(ids.volume, { id: ids.raw, labels });
    return services.map(({ source: _, ...service }) => ({
      ...service,
      credentials: stage.find(service.planned.name).credentials,
      origin: seedWords(source),
    }));
  } finally {
    await stage.remove();
  }
}

/** Its lines go to people and into our log. */
function redacting({ secrets }: AppRun, voice: StepVoice): StepVoice {
  return {
    line: (text) => voice.line(redact(text, secrets)),
    note: (text) => voice.note(redact(text, secrets)),
  };
}

/** Of a production that runs here the plan is that of its release, which may be older than the policy. */
function appOf(run: AppRun, source: SeedSource): PlannedApp {
  const app = run.plan.common.apps.find(({ name }) => name === source.app);
  if (app !== undefined) return app;
  throw new BoughError({
    code: 'seed-app-absent',
    message: `There is no app "${source.app}" in commit ${run.commit.slice(0, 7)}, which production runs, so its seed command cannot be run.`,
    hint: 'Deploy production from the default branch; Bough tries again afterwards.',
    retryable: true,
  });
}

/** Nobody's deployment waits for a seed, so it holds no lock and can wait for a build slot itself. */
async function buildPatiently(run: AppRun, app: PlannedApp, voice: StepVoice): Promise<string> {
  const { context, project, mirror, commit, lock } = run;
  const deadline = context.clock.now().getTime() + context.deadlines.buildMs;
  await context.forge(project.forge).fetch(repositoryOf(project), { mirror, commit, signal: lock.signal });
  const inputs = await readBuildInputs(run, null);
  try {
    for (;;) {
      try {
        return (await ensureArtifact(run, { app, inputs }, voice)).key;
      } catch (error) {
        if (!(error instanceof Waiting) || context.clock.now().getTime() > deadline) throw error;
        await voice.note(error.message);
        await context.clock.sleep(error.delayMs, lock.signal);
        lock.signal.throwIfAborted();
      }
    }
  } finally {
    context.buildSlots.leave(run.environment.id);
  }
}

/** A golden without a row would be taken for production's data. */
async function refuseUnfilled(services: Together, stage: SeedStage): Promise<void> {
  for (const { planned, cloning, source } of services) {
    const { address, credentials } = stage.find(planned.name);
    const counts = await cloning.count(address, credentials);
    if (counts.some(({ rows }) => rows > 0)) continue;
    throw new BoughError({
      code: 'seed-wrote-nothing',
      message: `The ${seedWords(source)} ended well, but there is no row in "${planned.name}".`,
      hint: 'It finds the empty service by the relationship of its app, as the deploy hook does, and has to make its tables too. Mend it in the default branch, or name another source.',
    });
  }
}
