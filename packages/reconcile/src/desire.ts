import type { BranchOf } from '@bough/domain/branch-of';
import type { Environment, SubjectFacts } from '@bough/domain/environment';
import type { Review } from '@bough/domain/review';
import type { PullRequest } from '@bough/forge/forge';
import type { Request } from '@bough/store/requests';
import type { Verdict } from './judge-pull.ts';
import type { Trust } from './trust/judge-trust.ts';
import { isFork } from './trust/stranger.ts';

/** What observe found out about a subject, as facts. */
export type Observation =
  | {
      readonly kind: 'production';
      readonly mode: 'external' | 'managed';
      readonly head: { commit: string } | 'gone';
      readonly branch: string;
    }
  /**
   * `verdict`: the policy's; absent where the policy was not asked, because the pull request gets none anyway. `trust`: whose
   * code it is; absent where nobody has looked.
   */
  | {
      readonly kind: 'pull';
      readonly pull: PullRequest | 'gone';
      readonly verdict?: Verdict;
      readonly trust?: Trust;
    }
  | { readonly kind: 'branch'; readonly branch: string; readonly head: { commit: string } | 'gone' }
  /** The forge says since lately that there is no such pull request or branch, which has an environment. */
  | { readonly kind: 'missing'; readonly commit: string | null; readonly until: Date }
  /** What `bough branch` asked for: one commit, whatever the forge has under that name. `verdict`: only room is asked for. */
  | {
      readonly kind: 'branched';
      readonly name: string;
      readonly commit: string;
      readonly branchOf: BranchOf;
      readonly expiresAt: Date | null;
      readonly verdict?: Extract<Verdict, { kind: 'hold' }> | undefined;
    };

export type Desired =
  | {
      readonly kind: 'running';
      readonly commit: string;
      readonly heldReason: string | null;
      /** How it is held: see `Verdict`. */
      readonly heldQuiet: boolean;
      readonly heldWaits: boolean;
      readonly trust: Environment['trust'];
      /** What somebody who may approve it is shown. */
      readonly review?: Review;
      readonly facts: SubjectFacts;
      /** The request that this wish answers: a new one makes a new generation of the same commit. */
      readonly requestId: string | null;
      /** `kept`: as it is. Only what somebody asks for, and a new commit, changes it here. */
      readonly state: 'running' | 'asleep' | 'kept';
      readonly sleepReason: string | null;
    }
  | { readonly kind: 'absent'; readonly reason: string }
  | { readonly kind: 'declined'; readonly reason: string };

/**
 * What should be, from what is known. Pure. `requests` are the subject's open ones, oldest first; `lastLasting` is the
 * last request that lasts (`delete` keeps a preview away until somebody asks for it again).
 */
export function desire(
  observation: Observation,
  requests: readonly Request[],
  lastLasting: Request | undefined,
  current?: Current,
): Desired {
  const requestId = requests.filter((request) => MAKES_ANEW.has(request.kind)).at(-1)?.id ?? null;
  switch (observation.kind) {
    case 'production':
      return desireProduction(observation, productionRequest(requests));
    case 'pull':
      return desirePull(observation, { requestId, lastLasting, current }, (commit, how) =>
        stateOf(commit, requests, current, how),
      );
    case 'branch':
      return desireBranch(observation, requestId, lastLasting, (commit) =>
        stateOf(commit, requests, current),
      );
    case 'missing':
      return desireMissing(observation, lastLasting);
    case 'branched':
      return desireBranched(observation, requestId, lastLasting, (commit) =>
        stateOf(commit, requests, current),
      );
  }
}

/** The living environment of the subject, as far as its next wish depends on it. */
export type Current = Pick<Environment, 'desiredState' | 'desiredCommit' | 'heldReason'> &
  Partial<Pick<Environment, 'releaseDeploymentId'>>;
type State = Pick<Extract<Desired, { kind: 'running' }>, 'state' | 'sleepReason'>;
const RUNNING: State = { state: 'running', sleepReason: null };

/** Whether a preview is to sleep: the last word of those who asked, else a new commit wakes it, else it stays as it is. */
function stateOf(
  commit: string,
  requests: readonly Request[],
  current: Current | undefined,
  { lazy, isHeld }: { lazy: boolean; isHeld: boolean } = { lazy: false, isHeld: false },
): State {
  const last = requests.findLast(({ kind }) => kind === 'sleep' || kind === 'wake' || MAKES_ANEW.has(kind));
  if (last?.kind === 'sleep') return { state: 'asleep', sleepReason: `${last.askedBy} asked for it` };
  if (last !== undefined) return RUNNING;
  // There is nothing new to run, and what it ran before sleeps on.
  if (isHeld && current?.desiredState === 'asleep' && (current.releaseDeploymentId ?? null) !== null)
    return { state: 'kept', sleepReason: null };
  // What is held has not begun: it is as new as what has no row.
  if (current === undefined || current.heldReason !== null)
    return lazy ? { state: 'asleep', sleepReason: 'it starts on the first visit' } : RUNNING;
  if (current.desiredCommit !== commit && !lazy) return RUNNING;
  return { state: 'kept', sleepReason: null };
}

/** Requests that are answered by deploying, even when nothing else changed. */
export const MAKES_ANEW: ReadonlySet<Request['kind']> = new Set([
  'open',
  'redeploy',
  'rebuild',
  'sync',
  'reset',
]);
const REPLACES_DATA: ReadonlySet<Request['kind']> = new Set(['sync', 'reset']);

/** Production's data is its own: no request replaces it. */
function productionRequest(requests: readonly Request[]): string | null {
  return requests.findLast(({ kind }) => MAKES_ANEW.has(kind) && !REPLACES_DATA.has(kind))?.id ?? null;
}

function desireProduction(
  observation: Extract<Observation, { kind: 'production' }>,
  requestId: string | null,
): Desired {
  if (observation.mode === 'external') {
    return {
      kind: 'declined',
      reason:
        'production of this project is external, so a push to the default branch deploys nothing; `bough project add … --production managed` changes that',
    };
  }
  if (observation.head === 'gone') {
    // A missing default branch is never a reason to remove production.
    return {
      kind: 'declined',
      reason: `the default branch ${observation.branch} does not exist on the forge`,
    };
  }
  return {
    kind: 'running',
    commit: observation.head.commit,
    ...NOT_HELD,
    trust: 'trusted',
    facts: { branch: observation.branch, title: 'production' },
    requestId,
    ...RUNNING,
  };
}

function desirePull(
  { pull, verdict = { kind: 'make', lazy: false }, trust: judged }: Extract<Observation, { kind: 'pull' }>,
  asked: { requestId: string | null; lastLasting: Request | undefined; current: Current | undefined },
  state: (commit: string, how: { lazy: boolean; isHeld: boolean }) => State,
): Desired {
  const { requestId, lastLasting, current } = asked;
  if (pull === 'gone') return { kind: 'absent', reason: 'the pull request is gone from the forge' };
  if (pull.state === 'closed')
    return {
      kind: 'absent',
      reason: pull.merged ? 'the pull request is merged' : 'the pull request is closed',
    };
  if (lastLasting !== undefined && isAway(lastLasting, pull.head.commit))
    return { kind: 'absent', reason: reasonOf(lastLasting) };
  if (verdict.kind === 'decline') return { kind: 'declined', reason: verdict.reason };
  if (verdict.kind === 'away') return { kind: 'absent', reason: verdict.reason };
  const trust = judged ?? unjudged(pull);
  // What may not even be approved does not go on either.
  if (trust.kind === 'held' && !trust.approvable && (current?.releaseDeploymentId ?? null) !== null)
    return { kind: 'absent', reason: trust.reason };
  const held = verdict.kind === 'hold' ? verdict : null;
  const strange = trust.kind === 'held' && held === null ? trust : null;
  return {
    kind: 'running',
    commit: pull.head.commit,
    heldReason: held?.reason ?? strange?.reason ?? null,
    heldQuiet: held?.quiet ?? false,
    heldWaits: held?.waits ?? false,
    trust: trust.kind === 'trusted' ? 'trusted' : 'untrusted',
    facts: {
      title: pull.title,
      author: pull.author,
      url: pull.url,
      branch: pull.head.branch,
      baseBranch: pull.base.branch,
      labels: pull.labels,
      draft: pull.draft,
      number: pull.number,
      ...(strange?.approvable ? { approvable: true } : {}),
      ...(strange?.untold ? { untold: true } : {}),
    },
    ...(strange?.review === undefined ? {} : { review: strange.review }),
    requestId,
    ...state(pull.head.commit, {
      lazy: verdict.kind === 'make' && verdict.lazy,
      isHeld: held !== null || strange !== null,
    }),
  };
}

const NOT_HELD = { heldReason: null, heldQuiet: false, heldWaits: false } as const;

/** What is said by the request that removes a preview for its age; a push brings that one back. */
const EXPIRED = 'expired at ';

/** The argument of such a request. */
export function expiredAt(commit: string | null): string {
  return `${EXPIRED}${commit ?? 'no commit'}`;
}

/** Whether somebody asked the preview away, and nothing has happened since that undoes it. */
export function isAway(lastLasting: Request | undefined, commit: string): boolean {
  if (lastLasting?.kind !== 'delete') return false;
  const { argument } = lastLasting;
  return argument?.startsWith(EXPIRED) !== true || argument === expiredAt(commit);
}

function reasonOf({ askedBy, argument }: Request): string {
  return argument?.startsWith(EXPIRED) === true
    ? 'nobody visited or changed it for longer than previews.expires; a push or `/bough deploy` brings it back'
    : `${askedBy} asked for its deletion`;
}

/** Nobody has looked whose code it is: what is not plainly of this repository does not run. */
function unjudged(pull: PullRequest): Trust {
  return isFork(pull)
    ? { kind: 'held', reason: 'it comes from a fork, and nobody has approved it', approvable: false }
    : { kind: 'trusted' };
}

function desireBranch(
  observation: Extract<Observation, { kind: 'branch' }>,
  requestId: string | null,
  lastLasting: Request | undefined,
  state: (commit: string) => State,
): Desired {
  if (observation.head === 'gone') return { kind: 'absent', reason: 'the branch is gone from the forge' };
  if (lastLasting?.kind === 'delete')
    return { kind: 'absent', reason: `${lastLasting.askedBy} asked for its deletion` };
  if (lastLasting?.kind !== 'open') {
    return {
      kind: 'declined',
      reason:
        'a branch without a pull request gets an environment only when somebody asks for one: `bough env open <owner/repo> --branch <branch>`',
    };
  }
  return {
    kind: 'running',
    commit: observation.head.commit,
    ...NOT_HELD,
    trust: 'trusted',
    facts: { branch: observation.branch, title: observation.branch },
    requestId: requestId ?? lastLasting.id,
    ...state(observation.head.commit),
  };
}

/** Nothing changes but what somebody asks for who wants it away. */
function desireMissing(
  { commit, until }: Extract<Observation, { kind: 'missing' }>,
  lastLasting: Request | undefined,
): Desired {
  if (lastLasting !== undefined && isAway(lastLasting, commit ?? ''))
    return { kind: 'absent', reason: reasonOf(lastLasting) };
  return {
    kind: 'declined',
    reason: `the forge says that there is no such thing (404), which is believed when it still says so at ${until.toISOString()}; \`bough env delete\` removes the preview at once`,
  };
}

/** Only its removal ends it: no pull request, no push and no branch of that name on the forge has a say. */
function desireBranched(
  { name, commit, branchOf, verdict }: Extract<Observation, { kind: 'branched' }>,
  requestId: string | null,
  lastLasting: Request | undefined,
  state: (commit: string) => State,
): Desired {
  if (lastLasting?.kind !== 'open')
    return {
      kind: 'absent',
      reason: lastLasting === undefined ? 'nobody asked for it' : reasonOfBranch(lastLasting),
    };
  return {
    kind: 'running',
    commit,
    heldReason: verdict?.reason ?? null,
    heldQuiet: false,
    heldWaits: verdict?.waits ?? false,
    trust: 'trusted',
    facts: { branch: name, title: `branched of ${branchOf.from} by ${lastLasting.askedBy}` },
    requestId: requestId ?? lastLasting.id,
    ...state(commit),
  };
}

function reasonOfBranch({ askedBy, argument }: Request): string {
  return argument?.startsWith(EXPIRED) === true
    ? 'its time is over; `bough branch` makes another'
    : `${askedBy} asked for its deletion`;
}
