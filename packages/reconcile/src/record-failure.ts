import { BoughError } from '@bough/domain/bough-error';
import type { Environment } from '@bough/domain/environment';
import type { Outcome } from '@bough/queue/consumer';
import type { EnvironmentLock } from '@bough/store/environment-lock';
import { writeFailure } from '@bough/store/environments';
import { askForFeedback } from './ask-for-feedback.ts';
import type { Context } from './context.ts';
import { ManifestProblems } from './deploy/manifest-problems.ts';

const RETRY_FIRST_MS = 2_000;
const RETRY_MAX_MS = 5 * 60_000;
export const RETRIES_MAX = 8;

/** Nobody pushes because access came back, so it is tried again like everything that passes. */
const MENDED_ELSEWHERE: ReadonlySet<string> = new Set(['forge-forbidden', 'forge-unauthorized']);

/** Writes into the row that a reconcile failed, and when it is tried again: not at all where only a push can mend it. */
export async function recordFailure(
  context: Context,
  environment: Environment,
  lock: EnvironmentLock,
  error: unknown,
): Promise<Outcome> {
  const failure = describeFailure(error);
  const retryable = !(error instanceof BoughError) || error.retryable || MENDED_ELSEWHERE.has(error.code);
  const again = retryable && environment.failures < RETRIES_MAX;
  const delayMs = Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** environment.failures);
  const fields = {
    environmentId: environment.id,
    generation: lock.fence.generation,
    code: failure.code,
    retry: again,
    error,
  };
  if (error instanceof BoughError) context.log.info(fields, 'environment failed');
  else context.log.error(fields, 'environment failed unexpectedly');
  await writeFailure(
    context.pool,
    lock.fence,
    failure,
    again ? new Date(context.clock.now().getTime() + delayMs) : null,
  );
  await askForFeedback(context, environment.id);
  return again ? { kind: 'again', delayMs } : { kind: 'done' };
}

/** A failure as rows, comments and checks show it. What is no BoughError is a mistake of ours and tells nothing of itself. */
export function describeFailure(error: unknown): {
  code: string;
  message: string;
  hint: string | null;
  tail: readonly string[];
  annotations: { path: string; line: number; column: number; message: string }[];
} {
  if (!(error instanceof BoughError)) {
    return {
      code: 'unexpected',
      message: 'Bough failed in a way it should not.',
      hint: 'It tries again by itself. The server log has the details; please report them.',
      tail: [],
      annotations: [],
    };
  }
  const problems = error instanceof ManifestProblems ? error.problems : [];
  return {
    code: error.code,
    message: error.message,
    hint: error.hint ?? null,
    tail: error.tail,
    annotations: problems.map(({ file, line, column, message, hint }) => ({
      path: file,
      line,
      column,
      message: `${message}\n${hint}`,
    })),
  };
}
