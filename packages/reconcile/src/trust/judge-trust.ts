import type { Review } from '@bough/domain/review';
import type { PullRequest } from '@bough/forge/forge';
import type { ForksPolicy } from '@bough/manifest/forks-policy';
import type { Approval } from '@bough/store/approvals';
import { type Stranger, strangerWords } from './stranger.ts';

/** Whose code a pull request is, and whether it may run. */
export type Trust =
  | { readonly kind: 'trusted' }
  | { readonly kind: 'approved' }
  | {
      readonly kind: 'held';
      readonly reason: string;
      readonly approvable: boolean;
      /** Only because the forge did not tell who may write: it is asked again. */
      readonly untold?: boolean;
      readonly review?: Review;
    };

export interface TrustFacts {
  readonly stranger: Stranger;
  readonly commit: string;
  readonly policy: ForksPolicy;
  /** Of what the commit says about itself, and of what the default branch says about previews now. */
  readonly manifestDigest: string;
  readonly policyDigest: string;
  /** Files of the manifest in which the commit differs from the default branch. */
  readonly changedManifest: readonly string[];
  /** The newest of this commit. */
  readonly approval: Approval | undefined;
  /** This commit was let in before and nobody asks for it anew: what runs may go on when its approval ends. */
  readonly isIn: boolean;
  readonly now: Date;
}

/** What to type: always the whole commit, so that nobody approves what they have not seen. */
function approveCommand(commit: string): string {
  return `\`/bough approve ${commit}\``;
}

/** Judges the commit of a stranger. Pure. */
export function judgeTrust(facts: TrustFacts): Trust {
  const { policy, approval, commit } = facts;
  const who = strangerWords(facts.stranger);
  if (policy.mode === 'decline') return { kind: 'held', reason: `${who}${DECLINED}`, approvable: false };
  const doubt = doubtOf(facts);
  if (approval !== undefined && doubt === undefined) return { kind: 'approved' };
  const changed =
    facts.changedManifest.length === 0
      ? ''
      : `. Look at ${facts.changedManifest.map((file) => `\`${file}\``).join(', ')} too: the commit is built and run as it says there, which is not as on the default branch`;
  const reason = `${who}, and ${doubt ?? 'nobody with write access has approved this commit'}. Somebody who may write to this repository can let exactly this commit run, without secrets, data and network, by the comment ${approveCommand(commit)}${changed}`;
  const untold = facts.stranger.kind === 'unknown' ? { untold: true } : {};
  return { kind: 'held', reason, approvable: true, ...untold };
}

const DECLINED =
  ', and `previews.forks.mode` of the default branch runs no code of strangers. Somebody with write access can propose it themself, from a branch of this repository';

/** Why an approval does not count any more. */
function doubtOf({ approval, manifestDigest, policyDigest, isIn, now }: TrustFacts): string | undefined {
  if (approval === undefined) return undefined;
  if (approval.policyDigest !== policyDigest)
    return `the policy of the default branch has changed since ${approval.approvedBy} approved this commit`;
  if (approval.manifestDigest !== manifestDigest)
    return `its manifest reads otherwise than when ${approval.approvedBy} approved this commit`;
  if (approval.expiresAt <= now && !isIn)
    return `the approval by ${approval.approvedBy} has expired before it was used`;
  return undefined;
}

/** What is wrong with an approval that somebody asks for, and what to type instead; undefined when nothing is. Pure. */
export function approvalProblem(
  pull: PullRequest | 'gone' | undefined,
  stranger: Stranger | undefined,
  argument: string,
): { readonly reason: string; readonly hint: string } | undefined {
  if (pull === undefined || pull === 'gone' || pull.state === 'closed')
    return { reason: 'there is no open pull request to approve', hint: 'Open it again first.' };
  if (stranger === undefined)
    return {
      reason: 'this pull request needs no approval',
      hint: 'Its branch is in this repository, and its author may write here.',
    };
  const { commit } = pull.head;
  const wanted = argument.toLowerCase();
  if (wanted === commit) return undefined;
  const command = approveCommand(commit);
  if (wanted === '')
    return { reason: 'an approval names its commit', hint: `Look at the changes, then comment ${command}.` };
  if (!/^[0-9a-f]{40}([0-9a-f]{24})?$/.test(wanted))
    return {
      reason: 'an approval needs the whole id of the commit',
      hint: `Look at the changes, then comment ${command}.`,
    };
  return {
    reason: `\`${wanted.slice(0, 7)}\` is not the newest commit of this pull request`,
    hint: `Look at what was pushed since, then comment ${command}.`,
  };
}
