import type { Clock, Timer } from '@bough/domain/clock';
import { type Environment, phase } from '@bough/domain/environment';
import type { Workload } from '@bough/engine/engine';
import type { PullRequest } from '@bough/forge/forge';
import type { Outcome } from '@bough/queue/consumer';
import { listDueRefreshes } from '@bough/store/data-refreshes';
import { type DeclinedSubject, listDeclined } from '@bough/store/declined-subjects';
import { deleteDeliveries, unsettledDeliveries } from '@bough/store/deliveries';
import { listEnvironments, listUnsettledEnvironments } from '@bough/store/environments';
import { deleteEvents } from '@bough/store/events';
import {
  findProjectByRepository,
  listProjects,
  type Project,
  writePollEtag,
  writeRepository,
} from '@bough/store/projects';
import { listOpenRehearsals } from '@bough/store/rehearsals';
import { listUnheardSubjects } from '@bough/store/requests';
import { pruneWhenDue } from './budgets/prune.ts';
import type { Context } from './context.ts';
import { warmGoldens } from './data/warm-goldens.ts';
import { expire, sleepIdle } from './idle.ts';
import { lookAtWaiting } from './look-at-waiting.ts';
import { lookAtStrangers, observeKey, repositoryOf } from './observe.ts';
import { pollComments } from './poll-comments.ts';
import { reap } from './reap.ts';

/** What does not belong to what an environment serves with. */
const PRIVATE_ROLES: readonly string[] = ['capture', 'rehearsal'];
/** A delivery that nobody looked at for so long was lost between the store and the queue. */
const UNSETTLED_AFTER_MS = 20_000;
const KEPT_DAYS = 14;
const FAILED_DELIVERIES_DAYS = 3;

/** Pull requests that wait for room in a project, looked at when everything is. */
const WAITING_MAX = 500;

/** What a resync corrected, for the metric that stays flat in a healthy installation. */
export interface Corrections {
  subjects: number;
  environments: number;
  deliveries: number;
  redelivered: number;
  reaped: number;
}

/**
 * Compares everything with the truth and enqueues what differs. The forge's list of open pull requests is the truth,
 * once complete: a listing that fails throws, and then nothing of that project is concluded from it.
 *
 * `thorough` (at start and hourly): asks the forge for failed deliveries, and looks at every environment.
 */
export async function resync(
  context: Context,
  options: { thorough: boolean; signal: AbortSignal },
): Promise<Corrections> {
  const corrections: Corrections = { subjects: 0, environments: 0, deliveries: 0, redelivered: 0, reaped: 0 };
  await eachProject(context, async (project) => {
    if (options.signal.aborted) return;
    try {
      const differences = await compareWithForge(context, project, options.signal);
      corrections.subjects += differences;
      if (!options.thorough) return;
      await readRepositoryAgain(context, project, options.signal);
      const redelivered = await redeliverFailed(context, project);
      corrections.redelivered += redelivered;
      await lookAtStrangers(context, project.id);
    } catch (error) {
      context.log.warn(
        { project: project.slug, error },
        'the forge could not be listed; nothing is concluded for this project',
      );
    }
  });
  if (options.signal.aborted) return corrections;
  corrections.deliveries += await requeueDeliveries(context);
  corrections.subjects += await requeueRequests(context);
  corrections.environments += await requeueEnvironments(context, options.thorough);
  await sleepIdle(context);
  await queueRefreshes(context, options.thorough);
  await expire(context);
  for (const { id } of await listProjects(context.pool))
    await lookAtWaiting(context, id, options.thorough ? WAITING_MAX : 1);
  corrections.reaped += await reap(context);
  await pruneWhenDue(context, options.signal);
  await warmGoldens(context);
  if (options.thorough) {
    const before = new Date(context.clock.now().getTime() - KEPT_DAYS * 86_400_000);
    await deleteDeliveries(context.pool, before);
    await deleteEvents(context.pool, before);
  }
  return corrections;
}

/** Polls each project that is polled. One whose repository is gone or forbidden must not keep the others from being looked at. */
export async function pollAll(context: Context, signal: AbortSignal): Promise<Outcome> {
  await eachProject(context, async (project) => {
    if (project.intake !== 'poll' || signal.aborted) return;
    for (const read of [poll, pollComments]) {
      await read(context, project, signal).catch((error: unknown) => {
        context.log.warn({ project: project.slug, error }, 'the forge could not be polled; tried again soon');
      });
    }
  });
  return { kind: 'done' };
}

/** A forge that answers does so in less. */
const PATIENCE_MS = 5_000;

/** One after the other; but one that the forge keeps waiting does not keep the others waiting too. */
async function eachProject(context: Context, work: (project: Project) => Promise<void>): Promise<void> {
  const begun: Promise<void>[] = [];
  for (const project of await listProjects(context.pool)) {
    const working = work(project);
    begun.push(working);
    await endsWithin(context.clock, PATIENCE_MS, working);
  }
  await Promise.all(begun);
}

async function endsWithin(clock: Clock, ms: number, work: Promise<void>): Promise<void> {
  let timer: Timer | undefined;
  const late = new Promise<void>((resolve) => {
    timer = clock.after(ms, resolve);
  });
  await Promise.race([work.catch(() => undefined), late]);
  timer?.cancel();
}

/** For repositories whose webhooks cannot reach us: one conditional request, which costs nothing while nothing changes. */
async function poll(context: Context, project: Project, signal: AbortSignal): Promise<void> {
  const listing = await context.forge(project.forge).listOpen(repositoryOf(project), {
    signal,
    ...(project.pollEtag === null ? {} : { etag: project.pollEtag }),
  });
  if (listing !== 'unchanged') {
    await enqueueDifferences(context, project, listing.pulls);
    await writePollEtag(context.pool, project.id, listing.etag ?? null);
  }
  if (project.production === 'managed')
    await context.enqueue('observe', observeKey(project.id, 'production'));
}

async function compareWithForge(context: Context, project: Project, signal: AbortSignal): Promise<number> {
  const forge = context.forge(project.forge);
  const listing = await forge.listOpen(repositoryOf(project), { signal });
  if (listing === 'unchanged') return 0;
  let differences = await enqueueDifferences(context, project, listing.pulls);
  if (project.production === 'managed') {
    const head = await forge.readBranch(repositoryOf(project), project.defaultBranch, signal);
    const rows = await listEnvironments(context.pool, { projectId: project.id });
    const production = rows.find((row) => row.subject === 'production');
    if (head !== 'gone' && production?.desiredCommit !== head.commit) {
      differences += 1;
      await context.enqueue('observe', observeKey(project.id, 'production'));
    }
  }
  return differences;
}

/** A subject whose row and pull request differ is looked at again; what to do is decided there, from a fresh read. */
async function enqueueDifferences(
  context: Context,
  project: Project,
  pulls: readonly PullRequest[],
): Promise<number> {
  const rows = (await listEnvironments(context.pool, { projectId: project.id })).filter(
    (row) => row.kind === 'preview',
  );
  const declined = await listDeclined(context.pool, project.id);
  const different = differingSubjects(rows, pulls, { declined, now: context.clock.now() });
  for (const subject of different) await context.enqueue('observe', observeKey(project.id, subject));
  return different.length;
}

/** One that was declined is judged anew after so long although it did not change: the policy may have. */
const JUDGED_ANEW_MS = 3_600_000;

/** A label or "ready for review" that was missed may have to change what the policy says of it. */
function isJudgedAsItIs({ facts }: Pick<Environment, 'facts'>, pull: PullRequest): boolean {
  const inOrder = (labels: readonly string[] = []) => [...labels].sort().join('\n');
  return (facts.draft ?? false) === pull.draft && inOrder(facts.labels) === inOrder(pull.labels);
}

/** Pure: open pull requests without a matching row, and rows whose pull request is not open any more. */
export function differingSubjects(
  rows: readonly Pick<Environment, 'subject' | 'desiredState' | 'desiredCommit' | 'facts'>[],
  pulls: readonly PullRequest[],
  judged: { declined: readonly DeclinedSubject[]; now: Date } = { declined: [], now: new Date(0) },
): string[] {
  const declined = new Map(judged.declined.map((row) => [row.subject, row]));
  const isDeclined = (pull: PullRequest) => {
    const row = declined.get(`pull/${pull.number}`);
    return (
      row?.subjectUpdatedAt?.getTime() === pull.updatedAt.getTime() &&
      judged.now.getTime() - row.lookedAt.getTime() < JUDGED_ANEW_MS
    );
  };
  const bySubject = new Map(rows.map((row) => [row.subject, row]));
  const open = new Set(pulls.map((pull) => `pull/${pull.number}`));
  const behind = pulls
    .filter((pull) => {
      const row = bySubject.get(`pull/${pull.number}`);
      if (row === undefined) return !isDeclined(pull);
      if (row.desiredState === 'absent') return false;
      if (row.facts.untold === true) return true;
      return row.desiredCommit !== pull.head.commit || !isJudgedAsItIs(row, pull);
    })
    .map((pull) => `pull/${pull.number}`);
  const closed = rows
    .filter(
      (row) => row.subject.startsWith('pull/') && row.desiredState !== 'absent' && !open.has(row.subject),
    )
    .map((row) => row.subject);
  return [...behind, ...closed];
}

/** Renamed, or made public, while no delivery came. */
async function readRepositoryAgain(context: Context, project: Project, signal: AbortSignal): Promise<void> {
  const forge = context.forge(project.forge);
  const repository = await forge.readRepository(
    { id: project.repositoryId, forgeInstallationId: project.forgeInstallationId ?? undefined },
    signal,
  );
  if (repository !== 'gone') await writeRepository(context.pool, project.id, repository);
}

/** The forge redelivers only when asked; it keeps failures for three days. */
async function redeliverFailed(context: Context, project: Project): Promise<number> {
  if (project.intake === 'poll') return 0;
  const forge = context.forge(project.forge);
  const webhookId = project.webhookId === null ? {} : { webhookId: project.webhookId };
  const since = new Date(context.clock.now().getTime() - FAILED_DELIVERIES_DAYS * 86_400_000);
  const failed = await forge.failedDeliveries(repositoryOf(project), { since, ...webhookId });
  for (const delivery of failed) await forge.redeliver(repositoryOf(project), delivery, webhookId);
  return failed.length;
}

async function requeueDeliveries(context: Context): Promise<number> {
  const lost = await unsettledDeliveries(
    context.pool,
    new Date(context.clock.now().getTime() - UNSETTLED_AFTER_MS),
  );
  const keys = new Set<string>();
  for (const delivery of lost) {
    if (delivery.repositoryId === null) continue;
    const project = await findProjectByRepository(context.pool, {
      forgeHost: context.forge(delivery.forge).host,
      repositoryId: delivery.repositoryId,
    });
    if (project === undefined) continue;
    for (const subject of delivery.subjects) keys.add(observeKey(project.id, subject));
  }
  for (const key of keys) await context.enqueue('observe', key);
  return lost.length;
}

/** What a person asked for while the queue was away: of a branch nothing on the forge would ever remind. */
async function requeueRequests(context: Context): Promise<number> {
  const before = new Date(context.clock.now().getTime() - UNSETTLED_AFTER_MS);
  const unheard = await listUnheardSubjects(context.pool, before);
  for (const { projectId, subject } of unheard)
    await context.enqueue('observe', observeKey(projectId, subject));
  return unheard.length;
}

/** The timer of golden snapshots. Which are due is decided at the look; thorough looks read each policy anew. */
async function queueRefreshes(context: Context, thorough: boolean): Promise<void> {
  const due = await listDueRefreshes(context.pool);
  const every = thorough ? (await listProjects(context.pool)).map(({ id }) => id) : [];
  for (const projectId of new Set([...due, ...every])) await context.enqueue('data', projectId);
}

/** Unfinished ones always; every living one when thorough, because only a look tells whether it still runs. */
async function requeueEnvironments(context: Context, thorough: boolean): Promise<number> {
  // Rehearsals that wait, or were under way when a worker died.
  for (const { environmentId } of await listOpenRehearsals(context.pool))
    await context.enqueue('rehearse', environmentId);
  const unsettled = await listUnsettledEnvironments(context.pool);
  for (const id of unsettled) await context.enqueue('reconcile', id);
  const all = await listEnvironments(context.pool, { includeRemoved: true });
  // Feedback says nothing twice, so asking for it again only repairs what was lost.
  for (const environment of all) await context.enqueue('feedback', environment.id);
  const lame = thorough ? all.filter((row) => row.removedAt === null) : await listLame(context, all);
  for (const environment of lame) await context.enqueue('reconcile', environment.id);
  return unsettled.length + (thorough ? 0 : lame.length);
}

/**
 * Environments that serve and of which something or everything does not run: the machine was restarted, somebody killed
 * it, or a stranger took its port; or beside which an earlier release still runs, because whoever was to stop it died and
 * the queue forgot. One whose newest deployment failed serves an earlier one. What sleeps is as it should be.
 */
async function listLame(context: Context, environments: readonly Environment[]): Promise<Environment[]> {
  const workloads = (await context.engine.list()).filter(
    ({ labels }) => !PRIVATE_ROLES.includes(labels.role),
  );
  const environmentsOf = (state: (of: Workload) => boolean) =>
    new Set(workloads.filter(state).map(({ labels }) => labels.environmentId));
  const running = environmentsOf(({ state }) => state !== 'stopped');
  const lame = environmentsOf(({ state }) => state === 'stopped');
  const isStale = (row: Environment) =>
    workloads.some(
      ({ labels, state }) =>
        labels.environmentId === row.id &&
        state !== 'stopped' &&
        labels.release !== undefined &&
        labels.release !== row.releaseDeploymentId,
    );
  return environments.filter(
    (row) =>
      row.desiredState === 'running' &&
      ['ready', 'failed'].includes(phase(row)) &&
      row.releaseDeploymentId !== null &&
      (lame.has(row.id) || !running.has(row.id) || isStale(row)),
  );
}
