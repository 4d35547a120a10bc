import type { Environment } from '@bough/domain/environment';
import type { Review } from '@bough/domain/review';
import type { Forge, PullRequest, RepositoryRef } from '@bough/forge/forge';
import { canonicalDigest } from '@bough/manifest/canonical-json';
import { type Approval, insertApproval, lastApproval } from '@bough/store/approvals';
import { appendEvent } from '@bough/store/events';
import type { Project } from '@bough/store/projects';
import { handleRequests, type Request } from '@bough/store/requests';
import type { Context } from '../context.ts';
import { MAKES_ANEW, type Observation } from '../desire.ts';
import { type Policy, readManifestAt } from '../policy.ts';
import { approvalProblem, judgeTrust, type Trust, type TrustFacts } from './judge-trust.ts';
import { review } from './review.ts';
import { type Stranger, strangerWords } from './stranger.ts';

type TrustContext = Pick<Context, 'pool' | 'sources' | 'clock'>;

interface Judging {
  readonly project: Project;
  readonly subject: string;
  readonly forge: Forge;
  readonly repository: RepositoryRef;
  readonly mirror: string;
  readonly seen: Observation;
  readonly stranger: Stranger | undefined;
  readonly policy: Policy | undefined;
  readonly current: Environment | undefined;
  /** Open ones; those that approve are handled here. */
  readonly requests: readonly Request[];
  readonly signal: AbortSignal;
}

/** Finds out whether what a subject wants to run may, and writes down the approvals that were asked for meanwhile. */
export async function readTrust(context: TrustContext, of: Judging): Promise<Trust> {
  const { seen, project, subject, stranger } = of;
  const pull = seen.kind === 'pull' ? seen.pull : undefined;
  const approving = of.requests.filter(({ kind }) => kind === 'approve');
  if (pull === undefined || pull === 'gone' || pull.state === 'closed' || stranger === undefined) {
    await refuseApprovals(context, approving, pull, stranger);
    return { kind: 'trusted' };
  }
  const { policy } = of;
  // Without a default branch there is nobody's policy to go by.
  if (policy === undefined)
    return { kind: 'held', reason: `${strangerWords(stranger)}${NO_POLICY}`, approvable: false };
  const facts = await readFacts(context, { ...of, stranger }, pull, policy);
  const good = approving.filter(
    ({ argument }) => approvalProblem(pull, stranger, argument ?? '') === undefined,
  );
  await refuseApprovals(
    context,
    approving.filter((request) => !good.includes(request)),
    pull,
    stranger,
  );
  for (const request of good) await approve(context, of, facts, request);
  const approval = await lastApproval(context.pool, { projectId: project.id, subject, commit: facts.commit });
  const trust = judgeTrust({ ...facts, approval });
  return trust.kind === 'held' && trust.approvable
    ? { ...trust, review: await reviewOf(context, of, facts, policy) }
    : trust;
}

const NO_POLICY = ', and the default branch, which would say what becomes of such code, is gone';

async function readFacts(
  context: TrustContext,
  { repository, mirror, forge, current, requests, stranger, signal }: Judging & { stranger: Stranger },
  pull: PullRequest,
  policy: Policy,
): Promise<Omit<TrustFacts, 'approval'>> {
  const { commit } = pull.head;
  const isIn =
    current?.trust === 'untrusted' &&
    current.heldReason === null &&
    current.desiredCommit === commit &&
    !requests.some(({ kind }) => MAKES_ANEW.has(kind));
  const known = { stranger, commit, isIn, policy: policy.previews.forks, now: context.clock.now() };
  const policyDigest = canonicalDigest(policy.previews);
  if (policy.previews.forks.mode === 'decline')
    return { ...known, policyDigest, manifestDigest: '', changedManifest: [] };
  // Nothing of it is run, or written anywhere but into the mirror: the manifest must be read to be approved.
  await forge.fetch(repository, { mirror, commit, signal });
  const here = await manifestFiles(context, { mirror, commit, signal });
  const there = await manifestFiles(context, { mirror, commit: policy.commit, signal });
  const names = [...new Set([...Object.keys(here), ...Object.keys(there)])].sort();
  return {
    ...known,
    policyDigest,
    manifestDigest: canonicalDigest(here),
    changedManifest: names.filter((name) => here[name] !== there[name]).slice(0, CHANGED_SHOWN_MAX),
  };
}

/** For whoever decides about it: read again, and only when somebody has to. */
async function reviewOf(
  context: TrustContext,
  { mirror, signal }: Judging,
  { commit, changedManifest }: Omit<TrustFacts, 'approval'>,
  policy: Policy,
): Promise<Review> {
  const { result } = await readManifestAt(context, { mirror, commit, signal });
  const diff = await context.sources.diffFiles({
    ...{ mirror, from: policy.commit, commit, signal },
    paths: changedManifest,
  });
  return review({ result, diff, policy: policy.previews.forks });
}

const CHANGED_SHOWN_MAX = 10;

/** The files that make up the manifest of a commit; broken ones count as they are. */
async function manifestFiles(
  context: TrustContext,
  at: { mirror: string; commit: string; signal: AbortSignal },
): Promise<Readonly<Record<string, string>>> {
  return (await readManifestAt(context, at)).files;
}

async function approve(
  context: TrustContext,
  { project, subject, current }: Judging,
  facts: Omit<TrustFacts, 'approval'>,
  request: Request,
): Promise<void> {
  const expiresAt = new Date(request.askedAt.getTime() + facts.policy.approvalSeconds * 1_000);
  const { commit, manifestDigest, policyDigest } = facts;
  const approval: Omit<Approval, 'id' | 'approvedAt'> = {
    ...{ commit, manifestDigest, policyDigest, expiresAt },
    approvedBy: request.askedBy,
  };
  await insertApproval(context.pool, { ...approval, projectId: project.id, subject, requestId: request.id });
  await appendEvent(context.pool, {
    ...{ projectId: project.id, environmentId: current?.id ?? null, actor: request.askedBy },
    kind: 'pull.approved',
    detail: { subject, ...approval, expiresAt: expiresAt.toISOString() },
  });
  const outcome = `\`${commit.slice(0, 7)}\` may run, without secrets, data and network; it may be started until ${expiresAt.toISOString().slice(0, 16).replace('T', ' ')} UTC, and a new push is held again`;
  await handleRequests(context.pool, [request.id], outcome);
}

async function refuseApprovals(
  context: TrustContext,
  requests: readonly Request[],
  pull: PullRequest | 'gone' | undefined,
  stranger: Stranger | undefined,
): Promise<void> {
  for (const request of requests) {
    const problem = approvalProblem(pull, stranger, request.argument ?? '');
    const outcome =
      problem === undefined ? 'there is nothing to approve' : `${problem.reason}. ${problem.hint}`;
    await handleRequests(context.pool, [request.id], outcome);
  }
}
