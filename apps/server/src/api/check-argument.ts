import { BoughError } from '@bough/domain/bough-error';
import { parseDuration } from '@bough/domain/duration';
import type { RequestKind } from '@bough/store/requests';

/** Refused at once what could only be ignored later. */
export function checkArgument(kind: RequestKind, argument: string | null): void {
  if (kind !== 'keep' || argument === null || parseDuration(argument) !== undefined) return;
  throw new BoughError({
    code: 'bad-duration',
    message: `"${argument}" is no length of time.`,
    hint: 'Write a number and a unit, up to a year: 12h, 30d.',
  });
}

/** A person's slip that would otherwise be ignored without a word. */
export function checkSubject(kind: RequestKind, subject: string): void {
  if (subject !== 'production' || (kind !== 'sync' && kind !== 'reset')) return;
  throw new BoughError({
    code: 'not-for-production',
    message: `Production's data is never replaced, so there is no ${kind} of it.`,
    hint: 'Name a preview: `bough env list`. New data for all that come: `bough data refresh <project>`.',
  });
}
