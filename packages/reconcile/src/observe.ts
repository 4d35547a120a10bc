import { join } from 'node:path';
import { parseDuration } from '@bough/domain/duration';
import { environmentSlug, shortHash, slugify } from '@bough/domain/names';
import { parseSubject, type Subject } from '@bough/domain/subject';
import type { Forge, RepositoryRef } from '@bough/forge/forge';
import { settleDeliveries, unsettledDeliveriesOf } from '@bough/store/deliveries';
import { findLivingEnvironment, writeAbsent, writeDesired } from '@bough/store/environments';
import { appendEvent } from '@bough/store/events';
import { findProject, type Project } from '@bough/store/projects';
import { doubtPublications } from '@bough/store/publications';
import { bindRebuilds, handleRequests, lastRequest, openRequests, type Request } from '@bough/store/requests';
import { writeKept } from '@bough/store/sleep';
import { answerCommands } from './answer-commands.ts';
import type { Context } from './context.ts';
import { type Desired, desire, type Observation } from './desire.ts';
import { hearCommands } from './hear-commands.ts';

/** What it takes to look; nothing is built, started or removed here. */
export type ObserveContext = Pick<Context, 'pool' | 'installationId' | 'enqueue' | 'forge' | 'log'>;

export type Outcome = { readonly kind: 'done' } | { readonly kind: 'again'; readonly delayMs: number };

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

  const observation = await lookAt(forge, project, parsed, signal);
  const repository = repositoryOf(project);
  const heard = await hearCommands({ pool: context.pool, forge, repository, project, subject }, deliveries);
  const requests = await openRequests(context.pool, { projectId, subject });
  const lasting = await lastRequest(context.pool, {
    projectId,
    subject,
    kinds: ['open', 'delete', 'redeploy', 'rebuild'],
  });
  const current = await findLivingEnvironment(context.pool, { projectId, subject });
  const desired = desire(observation, requests, lasting, current);
  if (deliveries.some((delivery) => delivery.event === 'issue_comment' && delivery.action === 'deleted')) {
    await doubtComment(context, { projectId, subject });
  }
  const outcome = await writeDown(context, project, { subject, parsed, desired, forge, signal });
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
  return heard.postponed.length > 0 ? { kind: 'again', delayMs: 0 } : { kind: 'done' };
}

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

function parseKey(key: string): { projectId: string; subject: string } {
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

export function mirrorOf(context: Context, project: Project): string {
  return join(context.directories.mirrors, `${project.id}.git`);
}

/** Writes the wish and wakes whoever makes it true. Returns in words what came of it. */
async function writeDown(
  context: ObserveContext,
  project: Project,
  look: { subject: string; parsed: Subject; desired: Desired; forge: Forge; signal: AbortSignal },
): Promise<string> {
  const { desired, subject } = look;
  if (desired.kind === 'declined') return desired.reason;
  if (desired.kind === 'absent') {
    const written = await writeAbsent(context.pool, { projectId: project.id, subject });
    if (written === undefined) return `${desired.reason}; there is no environment to remove`;
    if (written.changed) {
      await appendEvent(context.pool, {
        projectId: project.id,
        environmentId: written.environment.id,
        actor: 'bough',
        kind: 'environment.absent',
        detail: { reason: desired.reason },
      });
    }
    await context.enqueue('reconcile', written.environment.id);
    await context.enqueue('feedback', written.environment.id);
    return desired.reason;
  }

  const policyCommit = await readPolicyCommit(look.forge, project, subject, desired.commit, look.signal);
  const { environment, changed } = await writeDesired(context.pool, {
    projectId: project.id,
    installationId: context.installationId,
    subject,
    slug: environmentSlug(subjectSlug(look.parsed), project.slug),
    kind: subject === 'production' ? 'production' : 'preview',
    facts: desired.facts,
    desiredState: desired.state,
    sleepReason: desired.sleepReason,
    desiredCommit: desired.commit,
    policyCommit,
    heldReason: desired.heldReason,
    variablesRevision: project.variablesRevision,
    requestId: desired.requestId,
  });
  if (changed) {
    await appendEvent(context.pool, {
      projectId: project.id,
      environmentId: environment.id,
      actor: 'bough',
      kind: desired.heldReason === null ? 'environment.desired' : 'environment.held',
      detail: { commit: desired.commit, generation: environment.generation, reason: desired.heldReason },
    });
  }
  if (environment.generation !== environment.observedGeneration)
    await context.enqueue('reconcile', environment.id);
  await context.enqueue('feedback', environment.id);
  const commit = desired.commit.slice(0, 7);
  if (desired.heldReason !== null) return `held: ${desired.heldReason}`;
  if (environment.desiredState === 'asleep')
    return `${environment.slug} is asleep: ${environment.sleepReason ?? 'nobody needs it'}`;
  return changed ? `${environment.slug} is to run ${commit}` : `${environment.slug} is at ${commit} already`;
}

/** The commit whose `previews:` and `data:` count: the head of the default branch now. */
async function readPolicyCommit(
  forge: Forge,
  project: Project,
  subject: string,
  commit: string,
  signal: AbortSignal,
): Promise<string | null> {
  if (subject === 'production') return commit;
  const head = await forge.readBranch(repositoryOf(project), project.defaultBranch, signal);
  return head === 'gone' ? null : head.commit;
}

/** The environment's part of a host name; made once, when the row is. */
function subjectSlug(subject: Subject): string {
  switch (subject.kind) {
    case 'production':
      return 'production';
    case 'pull':
      return `pr-${subject.number}`;
    case 'branch': {
      // Branch names differ where their slugs do not (`a/b`, `a-b`), and `pr-7` is taken by pull requests.
      const slug = slugify(subject.branch);
      return slug === subject.branch && !/^pr-\d+$/.test(slug)
        ? slug
        : `${slug}-${shortHash(subject.branch)}`;
    }
  }
}
