import { join } from 'node:path';
import { readBranchOrder } from '@bough/domain/branch-of';
import { parseDuration } from '@bough/domain/duration';
import type { Environment } from '@bough/domain/environment';
import { parseSubject, type Subject } from '@bough/domain/subject';
import type { Forge, PullRequest, RepositoryRef } from '@bough/forge/forge';
import type { Outcome } from '@bough/queue/consumer';
import { settleDeliveries, unsettledDeliveriesOf } from '@bough/store/deliveries';
import { findLivingEnvironment, listEnvironments } from '@bough/store/environments';
import { findProject, type Project } from '@bough/store/projects';
import { doubtPublications } from '@bough/store/publications';
import { bindRebuilds, handleRequests, lastRequest, openRequests, type Request } from '@bough/store/requests';
import { writeKept } from '@bough/store/sleep';
import { answerCommands } from './answer-commands.ts';
import { believeAbsence, MISSING_AGAIN_MS } from './believe-absence.ts';
import type { Context } from './context.ts';
import { desire, type Observation } from './desire.ts';
import { hearCommands } from './hear-commands.ts';
import { judgeObservation } from './judge-observation.ts';
import { type Policy, readPolicyAt } from './policy.ts';
import { hearButtons } from './trust/hear-buttons.ts';
import { readTrust } from './trust/read-trust.ts';
import { findStranger, type Stranger } from './trust/stranger.ts';
import { writeDown } from './write-down.ts';

/** What it takes to look; nothing is built, started or removed here. */
export type ObserveContext = Pick<
  Context,
  'pool' | 'installationId' | 'enqueue' | 'forge' | 'log' | 'sources' | 'directories' | 'clock'
>;

/** The key of the observe queue: which subject of which project to look at. */
export function observeKey(projectId: string, subject: string): string {
  return `${projectId}:${subject}`;
}

/**
 * Looks at one subject and writes what should be. The webhook that caused it is forgotten by now: payloads are hints
 * and come in any order, so the forge is asked.
 */
export async function observe(context: ObserveContext, key: string, signal: AbortSignal): Promise<Outcome> {
  const { projectId, subject } = parseKey(key);
  const project = await findProject(context.pool, projectId);
  const parsed = parseSubject(subject);
  if (project === undefined) return { kind: 'done' };
  if (project.state !== 'active' || parsed === undefined) {
    await declineDeliveries(context, project, subject);
    return { kind: 'done' };
  }
  const forge = context.forge(project.forge);
  // Read before the forge is asked: what comes in meanwhile gets a look of its own.
  const deliveries = await unsettledDeliveriesOf(context.pool, {
    repositoryId: project.repositoryId,
    subject,
  });

  // Nobody comments on a branch, so what was asked for is known before the forge is asked, or instead.
  const early = parsed.kind === 'branch' ? await readAsked(context, { projectId, subject }) : undefined;
  const branched = parsed.kind === 'branch' && early ? branchedOf(early, parsed.branch) : undefined;
  const seen = branched ?? (await lookAt(forge, project, parsed, signal));
  const repository = repositoryOf(project);
  const pull = seen.kind === 'pull' ? seen.pull : undefined;
  const policy = await policyFor(context, { project, forge, seen, signal });
  const stranger = await strangerOf(context, { projectId, subject, forge, repository, pull, policy });
  const listening = { pool: context.pool, forge, repository, project, subject, pull, stranger };
  const heard = await hearCommands(listening, deliveries);
  await hearButtons(listening, deliveries);
  const { requests, lasting, current } = early ?? (await readAsked(context, { projectId, subject }));
  const mirror = mirrorOf(context, project);
  const asking = {
    ...{ project, subject, forge, repository, mirror, seen },
    ...{ stranger, policy, current, requests, signal },
  };
  const trust = await readTrust(context, asking);
  const judged = await judgeObservation(context, seen, {
    ...{ projectId, subject, forge, repository, lasting, current, policy: policy?.previews, signal },
  });
  const found: Observation = judged.kind === 'pull' ? { ...judged, trust } : judged;
  const observation = await believeAbsence(context, { seen: found, current, deliveries });
  const desired = desire(observation, requests, lasting, current);
  if (deliveries.some((delivery) => delivery.event === 'issue_comment' && delivery.action === 'deleted')) {
    await doubtComment(context, { projectId, subject });
  }
  // What previews are cloned from may have another policy or another schema now.
  if (observation.kind === 'production' && observation.mode === 'external')
    await context.enqueue('data', projectId);
  const outcome = await writeDown(context, project, { subject, parsed, desired, observation, policy });
  if (subject === 'production') await lookAtStrangers(context, projectId);
  await keep(context, requests);
  if (desired.kind === 'running') await bindRebuilds(context.pool, requests, desired.commit);

  await handleRequests(
    context.pool,
    requests.map((request) => request.id),
    outcome,
  );
  const unanswered = await answerCommands(context, {
    ...{ project, subject, repository, outcome, heard, forge, signal },
  });
  const open = new Set([...heard.postponed, ...unanswered.deliveries]);
  await settleDeliveries(
    context.pool,
    deliveries.map((delivery) => delivery.id).filter((id) => !open.has(id)),
    { fate: desired.kind === 'declined' ? 'declined' : 'observed', reason: outcome },
  );
  const failure = heard.failure ?? unanswered.failure;
  if (failure !== undefined) throw failure;
  // More commands than one look takes.
  if (heard.postponed.length > 0) return { kind: 'again', delayMs: 0 };
  // Rights come back without anybody saying so.
  if (stranger?.kind === 'unknown') return { kind: 'again', delayMs: UNKNOWN_AGAIN_MS };
  return observation.kind === 'missing' ? { kind: 'again', delayMs: MISSING_AGAIN_MS } : { kind: 'done' };
}

interface Asked {
  /** Open ones, oldest first. */
  readonly requests: readonly Request[];
  readonly lasting: Request | undefined;
  readonly current: Environment | undefined;
}

/** In this order: what is asked for meanwhile is among the open requests of the next look. */
async function readAsked(
  { pool }: ObserveContext,
  of: { projectId: string; subject: string },
): Promise<Asked> {
  const requests = await openRequests(pool, of);
  const isBranch = of.subject.startsWith('branch/');
  const lasting = await lastRequest(pool, {
    ...of,
    // A pull request comes back when it is asked for anything; a branch is opened and deleted.
    kinds: isBranch ? ['open', 'delete'] : ['open', 'delete', 'redeploy', 'rebuild'],
  });
  return { requests, lasting, current: await findLivingEnvironment(pool, of) };
}

/** What `bough branch` asked for under this name; undefined: it is a branch of the repository. */
function branchedOf(
  { current, lasting }: Asked,
  name: string,
): Extract<Observation, { kind: 'branched' }> | undefined {
  const order = lasting?.kind === 'open' ? readBranchOrder(lasting.argument) : undefined;
  // What is there stays what it is, whatever is asked for under its name.
  if (current !== undefined) {
    const { branchOf, desiredCommit, expiresAt } = current;
    if (branchOf === null || desiredCommit === null) return undefined;
    return { kind: 'branched', name, branchOf, commit: desiredCommit, expiresAt };
  }
  if (order === undefined) return undefined;
  const { branchOf, commit } = order;
  return { kind: 'branched', name, branchOf, commit, expiresAt: new Date(order.expiresAt) };
}

/** The default branch may say something else now about code that was let in, so each is judged anew. */
export async function lookAtStrangers(
  context: Pick<Context, 'pool' | 'enqueue'>,
  projectId: string,
): Promise<void> {
  for (const { subject, trust } of await listEnvironments(context.pool, { projectId }))
    if (trust === 'untrusted') await context.enqueue('observe', observeKey(projectId, subject));
}

/** Before the commands are heard: an approval of what needs none is answered at once. */
async function strangerOf(
  context: ObserveContext,
  of: {
    projectId: string;
    subject: string;
    forge: Forge;
    repository: RepositoryRef;
    pull: PullRequest | 'gone' | undefined;
    policy: Policy | undefined;
  },
): Promise<Stranger | undefined> {
  const { forge, repository, pull, policy } = of;
  if (pull === undefined || pull === 'gone' || pull.state === 'closed') return undefined;
  const current = await findLivingEnvironment(context.pool, of);
  return await findStranger({ forge, repository, pull, policy: policy?.previews, current });
}

const UNKNOWN_AGAIN_MS = 5 * 60_000;
const KEPT_SECONDS = 7 * 86_400;

async function keep(context: ObserveContext, requests: readonly Request[]): Promise<void> {
  const last = requests.findLast(({ kind }) => kind === 'keep');
  if (last === undefined) return;
  // Counted from when it was asked: looking twice does not keep it longer.
  const seconds = parseDuration(last.argument ?? '') ?? KEPT_SECONDS;
  await writeKept(context.pool, { ...last, until: new Date(last.askedAt.getTime() + seconds * 1_000) });
}

/** Nobody will look at what they hint at: left open, resync would queue them once more every minute, for ever. */
async function declineDeliveries(
  context: Pick<Context, 'pool'>,
  project: Project,
  subject: string,
): Promise<void> {
  const deliveries = await unsettledDeliveriesOf(context.pool, {
    repositoryId: project.repositoryId,
    subject,
  });
  const reason =
    project.state === 'active'
      ? `there is no environment for ${subject.slice(0, 300)}`
      : `${project.owner}/${project.name} is not a project of this Bough any more`;
  const ids = deliveries.map((delivery) => delivery.id);
  await settleDeliveries(context.pool, ids, { fate: 'declined', reason });
}

/** Somebody deleted a comment on the pull request, maybe ours: it is written again, which finds out. */
async function doubtComment(
  context: ObserveContext,
  of: { projectId: string; subject: string },
): Promise<void> {
  const environment = await findLivingEnvironment(context.pool, of);
  if (environment !== undefined) await doubtPublications(context.pool, environment.id, 'comment');
}

export function parseKey(key: string): { projectId: string; subject: string } {
  const colon = key.indexOf(':');
  return { projectId: key.slice(0, colon), subject: key.slice(colon + 1) };
}

async function lookAt(
  forge: Forge,
  project: Project,
  subject: Subject,
  signal: AbortSignal,
): Promise<Observation> {
  const repository = repositoryOf(project);
  switch (subject.kind) {
    case 'production': {
      // An external production is not looked at: nothing would follow from it.
      const head =
        project.production === 'managed'
          ? await forge.readBranch(repository, project.defaultBranch, signal)
          : ('gone' as const);
      return { kind: 'production', mode: project.production, head, branch: project.defaultBranch };
    }
    case 'pull':
      return { kind: 'pull', pull: await forge.readPullRequest(repository, subject.number, signal) };
    case 'branch':
      return {
        kind: 'branch',
        branch: subject.branch,
        head: await forge.readBranch(repository, subject.branch, signal),
      };
  }
}

export function repositoryOf(project: Project): RepositoryRef {
  return {
    id: project.repositoryId,
    owner: project.owner,
    name: project.name,
    ...(project.forgeInstallationId === null ? {} : { forgeInstallationId: project.forgeInstallationId }),
  };
}

export function mirrorOf(context: Pick<Context, 'directories'>, project: Project): string {
  return join(context.directories.mirrors, `${project.id}.git`);
}

/**
 * The policy that counts now: the default branch's. Undefined where there is nothing that it could decide: what is closed or
 * gone goes away whatever the policy says, and whether it can be read or not.
 */
async function policyFor(
  context: ObserveContext,
  of: { project: Project; forge: Forge; seen: Observation; signal: AbortSignal },
): Promise<Policy | undefined> {
  const { project, forge, seen, signal } = of;
  if (seen.kind === 'production' || isGone(seen)) return undefined;
  const head = await forge.readBranch(repositoryOf(project), project.defaultBranch, signal);
  if (head === 'gone') return undefined;
  const at = { mirror: mirrorOf(context, project), commit: head.commit, signal };
  await forge.fetch(repositoryOf(project), at);
  return await readPolicyAt(context, at);
}

function isGone(seen: Exclude<Observation, { kind: 'production' }>): boolean {
  if (seen.kind === 'pull') return seen.pull === 'gone' || seen.pull.state === 'closed';
  return seen.kind === 'branch' && seen.head === 'gone';
}
