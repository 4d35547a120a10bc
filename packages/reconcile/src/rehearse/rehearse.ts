import { BoughError } from '@bough/domain/bough-error';
import type { Environment } from '@bough/domain/environment';
import type { Outcome } from '@bough/queue/consumer';
import { type EnvironmentLock, Interrupted } from '@bough/store/environment-lock';
import { findEnvironment } from '@bough/store/environments';
import { findProject } from '@bough/store/projects';
import { withRehearsalLock } from '@bough/store/rehearsal-lock';
import {
  abortRehearsals,
  finishRehearsal,
  listOpenRehearsals,
  type Rehearsal,
  startRehearsal,
} from '@bough/store/rehearsals';
import { askForFeedback } from '../ask-for-feedback.ts';
import type { Context } from '../context.ts';
import { readRelease } from '../data/golden.ts';
import type { PlannedRun, StepVoice } from '../deploy/run.ts';
import { withoutSecrets } from '../without-secrets.ts';
import { notMeasured, perform } from './perform.ts';
import { removeRehearsal } from './rehearsal-stage.ts';

const BUSY_RETRY_MS = 500;

/**
 * Rehearses the migrations of what an environment serves, on clones of its own, beside it. The key is the environment's
 * id. Nothing waits for it, and a newer push ends it within a second. What a crash leaves is removed by the next look.
 */
export async function rehearse(
  context: Context,
  environmentId: string,
  signal: AbortSignal,
): Promise<Outcome> {
  const open = await listOpenRehearsals(context.pool, environmentId);
  const [newest] = open;
  const environment = await findEnvironment(context.pool, environmentId);
  if (newest === undefined || environment === undefined) return { kind: 'done' };
  const held = await withRehearsalLock(
    {
      ...{ url: context.databaseUrl, connect: context.connect, clock: context.clock },
      ...{ environmentId, deploymentId: newest.deploymentId, signal },
    },
    async (aborted) => {
      const isOver = aborted.reason instanceof Interrupted && aborted.reason.why === 'superseded';
      const stale = open.filter((row) => row !== newest || isOver);
      await abortRehearsals(
        context.pool,
        stale.map(({ id }) => id),
      );
      const run = { context, environment };
      await removeRehearsal(run);
      if (!stale.includes(newest)) await rehearseOnce(context, { environment, row: newest, signal: aborted });
    },
  ).catch((error: unknown) => {
    if (error instanceof Interrupted) return error;
    throw error;
  });
  if (held instanceof Interrupted) {
    context.log.info({ environmentId, why: held.why }, 'rehearsal interrupted');
    // Whoever comes next looks at the row anew; when nothing is wanted any more, that closes it.
    return held.why === 'shutdown' ? { kind: 'done' } : { kind: 'again', delayMs: BUSY_RETRY_MS };
  }
  if (held.kind === 'busy') return { kind: 'again', delayMs: BUSY_RETRY_MS };
  await askForFeedback(context, environmentId);
  return { kind: 'done' };
}

async function rehearseOnce(
  context: Context,
  of: { environment: Environment; row: Rehearsal; signal: AbortSignal },
): Promise<void> {
  const { environment, row, signal } = of;
  const project = await findProject(context.pool, environment.projectId);
  if (project === undefined) return;
  await startRehearsal(context.pool, row.id);
  await askForFeedback(context, environment.id);
  // Nothing is written at this fence: it stands for "no environment's lock".
  const lock: EnvironmentLock = {
    signal,
    fence: { environmentId: environment.id, generation: '0', lease: '0' },
  };
  const run: PlannedRun = await readRelease(context, project, environment, lock);
  const log = await context.stepLogs.open(
    { deploymentId: row.deploymentId, name: 'rehearsal' },
    () => run.secrets,
  );
  const voice: StepVoice = { line: log.line, note: async (text) => log.line(text) };
  const fields = { environmentId: environment.id, deploymentId: row.deploymentId };
  try {
    const result = await perform(run, voice);
    signal.throwIfAborted();
    await finishRehearsal(context.pool, row.id, result);
    context.log.info({ ...fields, verdict: result.verdict, reused: result.reusedId !== null }, 'rehearsed');
  } catch (thrown) {
    signal.throwIfAborted();
    const error = withoutSecrets(thrown, run.secrets);
    if (error instanceof Interrupted) throw error;
    log.line(error instanceof Error ? error.message : String(error));
    const report = notMeasured(reasonOf(error));
    await finishRehearsal(context.pool, row.id, {
      ...{ key: null, snapshotId: null, reusedId: null, verdict: report.verdict, report },
    });
    if (error instanceof BoughError) context.log.info({ ...fields, error }, 'rehearsal failed');
    else context.log.error({ ...fields, error }, 'rehearsal failed unexpectedly');
  } finally {
    await removeRehearsal(run);
    await log.close();
  }
}

/** Whatever went wrong, the preview is none the worse for it, and nobody may take it for a pass. */
function reasonOf(error: unknown): string {
  if (!(error instanceof BoughError))
    return 'Bough failed in a way it should not; the server log has the details';
  return [error.message, error.hint].filter((part) => part !== undefined).join(' ');
}
