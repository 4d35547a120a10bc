import { Interrupted } from '@bough/store/environment-lock';
import { writeRunningStep } from '@bough/store/environments';
import { finishStep, noteStep, startStep } from '@bough/store/steps';
import { askForFeedback } from '../ask-for-feedback.ts';
import { type DeploymentRun, type StepVoice, Waiting } from './run.ts';

/** The steps of a deployment, in order: the ordinal is the place in this list. */
const STEPS = [
  'checkout',
  'compile',
  'build',
  'data',
  'services',
  'deploy hook',
  'release',
  'verify',
  'post_deploy',
] as const;
export type StepName = (typeof STEPS)[number];

const PROGRESS_LAG_MS = 300;

/**
 * Runs one step: its log, its duration, its result. Starts by asking whether anything newer is wanted: after that
 * point nobody would want the effects of this one.
 */
export async function runStep<Result>(
  run: DeploymentRun,
  name: StepName,
  work: (voice: StepVoice) => Promise<{ result: Result; state?: 'done' | 'cached' | 'skipped' }>,
): Promise<Result> {
  const { context, lock, deployment, environment } = run;
  lock.signal.throwIfAborted();
  if (!(await writeRunningStep(context.pool, lock.fence, name))) throw new Interrupted('superseded');
  await startStep(context.pool, lock.fence, {
    deploymentId: deployment.id,
    ordinal: STEPS.indexOf(name),
    name,
  });
  // Progress may lag a little: short steps then share one look, and the forge is not asked for each of them.
  await askForFeedback(context, environment.id, { delayMs: PROGRESS_LAG_MS });
  const log = await context.stepLogs.open(
    { deploymentId: deployment.id, name: fileName(name) },
    () => run.secrets,
  );
  let note: string | null = null;
  const voice: StepVoice = {
    line: log.line,
    note: async (text) => {
      note = text;
      log.line(text);
      await noteStep(context.pool, lock.fence, { deploymentId: deployment.id, name, note: text });
    },
  };
  const finish = (state: 'done' | 'cached' | 'skipped' | 'failed' | 'aborted') =>
    finishStep(context.pool, lock.fence, { deploymentId: deployment.id, name, state, note });
  const holdUp = (when: 'before' | 'after') =>
    context.faultPoint?.({ slug: environment.slug, point: `${when}-${fileName(name)}`, signal: lock.signal });
  try {
    await holdUp('before');
    const { result, state } = await work(voice);
    await holdUp('after');
    lock.signal.throwIfAborted();
    await finish(state ?? 'done');
    return result;
  } catch (error) {
    const interrupted = error instanceof Interrupted || error instanceof Waiting || lock.signal.aborted;
    log.line(interrupted ? 'interrupted' : error instanceof Error ? error.message : String(error));
    await finish(interrupted ? 'aborted' : 'failed');
    throw error;
  } finally {
    await log.close();
  }
}

/** `deploy hook` → `deploy-hook`: the log's file and its place in addresses. */
export function fileName(step: string): string {
  return step.replaceAll(/[^a-z0-9]+/g, '-');
}
