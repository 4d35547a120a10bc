import { BoughError } from '@bough/domain/bough-error';
import { readBranchOrder } from '@bough/domain/branch-of';
import { parseDuration } from '@bough/domain/duration';
import type { Environment } from '@bough/domain/environment';
import type { RequestKind } from '@bough/store/requests';

/** Refused at once what could only be ignored later. */
export function checkArgument(kind: RequestKind, argument: string | null): void {
  // Whether there is such a commit and such data is found out by POST /projects/:project/branches, not here.
  if (kind === 'open' && readBranchOrder(argument) !== undefined)
    throw new BoughError({
      code: 'request-malformed',
      message: 'A branch is not asked for like this.',
      hint: 'POST /api/v1/projects/:project/branches, or `bough branch <name>`.',
    });
  if (kind !== 'keep' || argument === null || parseDuration(argument) !== undefined) return;
  throw new BoughError({
    code: 'bad-duration',
    message: `"${argument}" is no length of time.`,
    hint: 'Write a number and a unit, up to a year: 12h, 30d.',
  });
}

/** A branch keeps its commit and its data; a git branch of that name cannot take its place. */
export function checkOpen(
  kind: RequestKind,
  living: Pick<Environment, 'branchOf' | 'slug'> | undefined,
): void {
  if (kind !== 'open' || living === undefined || living.branchOf === null) return;
  throw new BoughError({
    code: 'conflict',
    message: `${living.slug} was made by \`bough branch\`, so there can be no environment of a git branch of that name.`,
    hint: `Remove it first (bough env delete ${living.slug}), or redeploy it: bough env redeploy ${living.slug}`,
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
