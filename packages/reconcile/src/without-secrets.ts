import { BoughError } from '@bough/domain/bough-error';
import { redact, type Secret } from '@bough/domain/secret';
import { ManifestProblems } from './deploy/manifest-problems.ts';

/**
 * A failure as it may be shown. Its lines end up in rows, in our log and on the forge, and what a running workload printed
 * was not filtered before (a one-off command's output is, by the engine). Problems of a manifest know no secrets.
 */
export function withoutSecrets(error: unknown, secrets: Iterable<Secret>): unknown {
  if (!(error instanceof BoughError) || error instanceof ManifestProblems) return error;
  const known = [...secrets];
  return new BoughError({
    code: error.code,
    message: redact(error.message, known),
    hint: error.hint === undefined ? undefined : redact(error.hint, known),
    tail: error.tail.map((line) => redact(line, known)),
    retryable: error.retryable,
    cause: error.cause,
  });
}
