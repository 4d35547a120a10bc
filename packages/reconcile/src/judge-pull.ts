import { matchesPathGlobs } from '@bough/domain/path-globs';
import type { PullRequest } from '@bough/forge/forge';
import type { PreviewPolicy, Trigger } from '@bough/manifest/preview-policy';

/** What the policy says about one open pull request. */
export type Verdict =
  | { readonly kind: 'make'; readonly lazy: boolean }
  /** Somebody could change that. `quiet`: worth a check, but no comment. `waits`: it has a place in the queue. */
  | { readonly kind: 'hold'; readonly reason: string; readonly quiet: boolean; readonly waits: boolean }
  /** Nothing to see, nothing to say: only `bough why` knows. */
  | { readonly kind: 'decline'; readonly reason: string }
  /** It had a preview, and loses it. */
  | { readonly kind: 'away'; readonly reason: string };

export interface Judged {
  readonly pull: Pick<PullRequest, 'draft' | 'author' | 'authorIsBot' | 'labels'>;
  readonly policy: PreviewPolicy;
  /** Of the whole pull request, not of the last push. Null: not asked for. */
  readonly changedFiles: readonly string[] | 'too-many' | null;
  /** Somebody asked for a preview, and nobody asked it away since. */
  readonly isAsked: boolean;
  /** `preview`: it runs or sleeps. `held`: there is a row and nothing else. */
  readonly has: 'nothing' | 'held' | 'preview';
  /** Other previews of the project that run or sleep, and pull requests that wait before this one. */
  readonly others: { readonly made: number; readonly waiting: number };
}

/** Pure. What is there stays whatever its files, its draft or its author are: those decide only about the first time. */
export function judgePull(judged: Judged): Verdict {
  const { policy, pull, isAsked, has } = judged;
  const lazy =
    !isAsked &&
    (policy.lazy || (pull.draft && policy.drafts === 'lazy') || (pull.authorIsBot && policy.bots === 'lazy'));
  if (has === 'preview')
    return !isAsked && lostItsLabel(judged)
      ? {
          kind: 'away',
          reason: `it does not have the label that makes previews any more (${labelsOf(policy)})`,
        }
      : { kind: 'make', lazy };
  if (!isAsked) {
    const refusal = refuse(judged);
    // A row that is there is shown on the forge, so it needs its words there.
    if (refusal?.kind === 'decline' && has === 'held')
      return { kind: 'hold', reason: refusal.reason, quiet: true, waits: false };
    if (refusal !== undefined) return refusal;
  }
  return waitForRoom(judged) ?? { kind: 'make', lazy };
}

function refuse({ policy, pull, changedFiles }: Judged): Verdict | undefined {
  const ask = 'comment `/bough deploy` to get one all the same';
  const quietly = (reason: string): Verdict => ({ kind: 'hold', reason, quiet: true, waits: false });
  if (pull.authorIsBot && policy.bots === 'no')
    return {
      kind: 'decline',
      reason: `${pull.author} is a bot, and previews.bots makes none for bots; ${ask}`,
    };
  if (!policy.triggers.some((trigger) => matches(trigger, pull.labels, changedFiles))) {
    if (policy.triggers.some((trigger) => trigger.kind === 'when' && trigger.label !== null))
      return quietly(`previews.triggers wants a label (${labelsOf(policy)}); put it on, or ${ask}`);
    if (policy.triggers.some((trigger) => trigger.kind === 'comment'))
      return quietly('previews are made only when somebody asks: comment `/bough deploy`');
    return { kind: 'decline', reason: `no file of it is among previews.triggers.paths; ${ask}` };
  }
  if (pull.draft && policy.drafts === 'no')
    return quietly(
      `it is a draft, and previews.drafts makes none for drafts; mark it ready for review, or ${ask}`,
    );
  return undefined;
}

/** Not undefined: the project has as many previews as its policy allows, and this one waits. */
export function waitForRoom({
  policy,
  others,
}: Pick<Judged, 'policy' | 'others'>): Extract<Verdict, { kind: 'hold' }> | undefined {
  const limit = policy.limits.environments;
  if (limit === null || others.made + others.waiting < limit) return undefined;
  const before = others.waiting === 0 ? 'it is next' : `${others.waiting} wait before it`;
  const reason = `the project has as many previews as previews.limits.environments allows (${limit}); as soon as one is removed the next is made, and ${before}`;
  return { kind: 'hold', reason, quiet: false, waits: true };
}

/** Paths are taken as met: a preview never goes away because of its files. */
function lostItsLabel({ policy, pull }: Judged): boolean {
  const wantsLabel = policy.triggers.some((trigger) => trigger.kind === 'when' && trigger.label !== null);
  return wantsLabel && !policy.triggers.some((trigger) => matches(trigger, pull.labels, 'too-many'));
}

function matches(trigger: Trigger, labels: readonly string[], changedFiles: Judged['changedFiles']): boolean {
  if (trigger.kind !== 'when') return trigger.kind === 'all';
  if (trigger.label !== null && !labels.includes(trigger.label)) return false;
  // More files than can be listed: rather one preview too many than one too few.
  if (trigger.paths === null || changedFiles === 'too-many') return true;
  return matchesPathGlobs(changedFiles ?? [], trigger.paths);
}

function labelsOf(policy: PreviewPolicy): string {
  const labels = policy.triggers.flatMap((trigger) =>
    trigger.kind === 'when' && trigger.label !== null ? [`"${trigger.label}"`] : [],
  );
  return [...new Set(labels)].join(' or ');
}

/** Whether the answer depends on which files it changes. */
export function needsChangedFiles({ triggers }: PreviewPolicy): boolean {
  return (
    !triggers.some(({ kind }) => kind === 'all') &&
    triggers.some((trigger) => trigger.kind === 'when' && trigger.paths !== null)
  );
}

/** The highest of its labels'. */
export function priorityOf({ priorities }: PreviewPolicy, labels: readonly string[]): number {
  const its = priorities.filter(({ label }) => labels.includes(label)).map(({ priority }) => priority);
  return its.length === 0 ? 0 : Math.max(...its);
}
