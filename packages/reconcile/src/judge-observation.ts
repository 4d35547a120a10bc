import type { Environment } from '@bough/domain/environment';
import type { Forge, RepositoryRef } from '@bough/forge/forge';
import type { PreviewPolicy } from '@bough/manifest/preview-policy';
import { countOtherPreviews } from '@bough/store/preview-limits';
import type { Request } from '@bough/store/requests';
import type { Context } from './context.ts';
import { isAway, type Observation } from './desire.ts';
import { type Judged, judgePull, needsChangedFiles, waitForRoom } from './judge-pull.ts';

/** What the verdict of the policy depends on, beside what was seen. */
export interface Judging {
  readonly projectId: string;
  readonly subject: string;
  readonly forge: Forge;
  readonly repository: RepositoryRef;
  readonly lasting: Request | undefined;
  readonly current: Environment | undefined;
  readonly policy: PreviewPolicy | undefined;
  readonly signal: AbortSignal;
}

/** Adds what the policy says of it to what was seen. */
export async function judgeObservation(
  context: Pick<Context, 'pool'>,
  seen: Observation,
  judging: Judging,
): Promise<Observation> {
  if (seen.kind === 'branched') return { ...seen, verdict: await judgeBranched(context, judging) };
  return seen.kind === 'pull' ? await judgeOpenPull(context, seen, judging) : seen;
}

/** A branch was asked for by a person, so the policy has one word in it: how many there may be. */
async function judgeBranched(
  context: Pick<Context, 'pool'>,
  { projectId, subject, current, policy }: Judging,
): Promise<ReturnType<typeof waitForRoom>> {
  if (policy === undefined || hasOf(current) === 'preview') return undefined;
  const others = await countOtherPreviews(context.pool, { projectId, subject });
  return waitForRoom({ policy, others });
}

/** Unchanged where it gets nothing anyway. */
async function judgeOpenPull(
  context: Pick<Context, 'pool'>,
  seen: Extract<Observation, { kind: 'pull' }>,
  judging: Judging,
): Promise<Observation> {
  const { projectId, subject, forge, repository, lasting, policy, signal } = judging;
  const { pull } = seen;
  if (pull === 'gone' || policy === undefined || isAway(lasting, pull.head.commit)) return seen;
  const has = hasOf(judging.current);
  const isAsked = lasting !== undefined && lasting.kind !== 'delete';
  const wantsFiles = has !== 'preview' && !isAsked && needsChangedFiles(policy);
  const verdict = judgePull({
    ...{ pull, policy, isAsked, has },
    changedFiles: wantsFiles ? await forge.changedFiles(repository, pull.number, signal) : null,
    others: await countOtherPreviews(context.pool, { projectId, subject }),
  });
  return { ...seen, verdict };
}

function hasOf(current: Environment | undefined): Judged['has'] {
  if (current === undefined || current.desiredState === 'absent') return 'nothing';
  return current.heldReason === null ? 'preview' : 'held';
}
