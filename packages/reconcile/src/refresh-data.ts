import type { Environment } from '@bough/domain/environment';
import { canonicalDigest } from '@bough/manifest/canonical-json';
import type { DataPolicy } from '@bough/manifest/manifest';
import { nextRefresh } from '@bough/manifest/refresh-schedule';
import { sourcePlaces } from '@bough/manifest/source-digest';
import type { Outcome } from '@bough/queue/consumer';
import { sanitizeLabel } from '@bough/sanitize/policy-digest';
import {
  noteRefresh,
  readDataRefresh,
  scheduleRefresh,
  settleRefresh,
  startRefresh,
} from '@bough/store/data-refreshes';
import type { EnvironmentLock } from '@bough/store/environment-lock';
import { findLivingEnvironment, listEnvironments } from '@bough/store/environments';
import { findProject, type Project } from '@bough/store/projects';
import { findFailedCapture, type SnapshotRow } from '@bough/store/snapshots';
import type { Context } from './context.ts';
import { refreshGolden, settleDeadCaptures } from './data/golden.ts';
import { readParentSchema } from './data/parent-schema.ts';
import { refreshDue } from './data/refresh-due.ts';
import type { StepVoice } from './deploy/run.ts';
import { mirrorOf, repositoryOf } from './observe.ts';
import { type Policy, readPolicyAt } from './policy.ts';

/**
 * Looks whether a project needs a new golden snapshot, and makes it: after each deployment of production, when the data
 * policy changed, when its schedule says so, and when somebody asked. Off every preview's path: they clone what is
 * frozen already. No environment's lock is taken, because a capture must not keep a deployment waiting; captures
 * exclude each other. What fails leaves the golden before it in use.
 */
export async function refreshData(
  context: Context,
  projectId: string,
  signal: AbortSignal,
): Promise<Outcome> {
  const project = await findProject(context.pool, projectId);
  if (project === undefined || project.state !== 'active') return { kind: 'done' };
  const policy = await readHeadPolicy(context, project, signal);
  if (policy === 'gone') return { kind: 'done' };
  const refresh = await readDataRefresh(context.pool, projectId);
  const parent = await findParent(context, project);
  const { data } = policy;
  const isElsewhere = data !== null && Object.keys(data.source).length > 0;
  if (data === null || (parent === undefined && !isElsewhere)) {
    const note =
      data === null ? 'there is no data policy' : 'production was not deployed here, so there is no data';
    await settle(context, { projectId, policyDigest: '', note, dueAt: null });
    return { kind: 'done' };
  }
  await settleDeadCaptures(context, projectId);
  const policyDigest = canonicalDigest({
    sanitize: sanitizeLabel(data.sanitize),
    source: sourcePlaces(data.source),
  });
  const retryAt = (await findFailedCapture(context.pool, projectId))?.retryAt ?? null;
  const now = { policyDigest, retryAt, schedule: data.refresh, now: context.clock.now() };
  const asIs = refreshDue(refresh, { ...now, schemaDigest: null });
  // Production's catalogue is read when it may decide, and before a capture, to tell later ones.
  const mayDecide = asIs.kind === 'due' || retryAt === null;
  const schemaDigest =
    parent === undefined || !mayDecide ? null : await readParentSchema(context, { project, parent, signal });
  const decision = refreshDue(refresh, { ...now, schemaDigest });
  if (decision.kind === 'later') {
    await scheduleRefresh(context.pool, { projectId, dueAt: decision.at, schemaDigest });
    return retryAt === null ? { kind: 'done' } : lookAgain(context, retryAt);
  }
  context.log.info({ project: project.slug, why: decision.why }, 'making a golden snapshot');
  const startedAt = await startRefresh(context.pool, projectId);
  const made = await attempt(context, { project, parent, policy, data, why: decision.why, signal });
  const scheduled = data.refresh === null ? null : nextRefresh(data.refresh, startedAt);
  await settleRefresh(context.pool, {
    ...{ projectId, startedAt, policyDigest, schemaDigest },
    note: made.state === 'failed' ? made.failureMessage : `golden snapshot ${made.id}`,
    dueAt: made.state === 'failed' ? made.retryAt : scheduled,
  });
  await tellPreviews(context, project.id);
  return made.state === 'failed' ? lookAgain(context, made.retryAt) : { kind: 'done' };
}

/** The new golden, or the capture that failed. */
async function attempt(
  context: Context,
  of: {
    project: Project;
    parent: Environment | undefined;
    policy: Policy;
    data: DataPolicy;
    why: string;
    signal: AbortSignal;
  },
): Promise<SnapshotRow> {
  const log = { project: of.project.slug };
  // Nothing is written at this fence: it stands for "no environment's lock".
  const fence = { environmentId: of.parent?.id ?? `p${of.project.id}`, generation: '0', lease: '0' };
  const lock: EnvironmentLock = { signal: of.signal, fence };
  const voice = refreshVoice(context, of.project);
  try {
    const golden = await refreshGolden(context, { ...of, lock, voice, onlyIfAbsent: false });
    const { id, sizeBytes } = golden;
    context.log.info({ ...log, snapshotId: id, sizeBytes }, 'golden snapshot is frozen');
    return golden;
  } catch (error) {
    const failed = await findFailedCapture(context.pool, of.project.id);
    // Aborted, or it failed before there was anything to count it in: the queue tries again.
    if (failed?.retryAt == null || of.signal.aborted) throw error;
    const { failureMessage, failures, retryAt } = failed;
    context.log.warn({ ...log, reason: failureMessage, failures, retryAt }, 'no new golden snapshot');
    return failed;
  }
}

function lookAgain(context: Context, at: Date | null): Outcome {
  return {
    kind: 'again',
    delayMs: Math.max(1_000, (at?.getTime() ?? 0) - context.clock.now().getTime()),
  };
}

async function settle(
  context: Context,
  settled: { projectId: string; policyDigest: string; note: string; dueAt: Date | null },
): Promise<void> {
  const startedAt = await startRefresh(context.pool, settled.projectId);
  await settleRefresh(context.pool, { ...settled, startedAt, schemaDigest: null });
}

/** Production, once there is a release of it to capture. */
async function findParent(context: Context, project: Project): Promise<Environment | undefined> {
  const parent = await findLivingEnvironment(context.pool, { projectId: project.id, subject: 'production' });
  return parent?.releaseDeploymentId === null ? undefined : parent;
}

/** Their comments say whether there is newer data, and why not. */
async function tellPreviews(context: Context, projectId: string): Promise<void> {
  for (const { id, kind } of await listEnvironments(context.pool, { projectId }))
    if (kind === 'preview') await context.enqueue('feedback', id);
}

async function readHeadPolicy(
  context: Context,
  project: Project,
  signal: AbortSignal,
): Promise<Policy | 'gone'> {
  const forge = context.forge(project.forge);
  const head = await forge.readBranch(repositoryOf(project), project.defaultBranch, signal);
  if (head === 'gone') return 'gone';
  const mirror = mirrorOf(context, project);
  await forge.fetch(repositoryOf(project), { mirror, commit: head.commit, signal });
  return await readPolicyAt(context, { mirror, commit: head.commit, signal });
}

const PROGRESS_EVERY_MS = 1_000;

/** To the log, and as progress to people: seldom, because some lines come for every table. */
function refreshVoice(context: Context, project: Project): StepVoice {
  const time = () => context.clock.now().getTime();
  let shownAt = 0;
  const show = async (text: string) => {
    shownAt = time();
    await noteRefresh(context.pool, project.id, text);
  };
  return {
    line: (text) => {
      context.log.info({ project: project.slug, text }, 'refreshing data');
      if (time() - shownAt < PROGRESS_EVERY_MS) return;
      void show(text).catch(() => {});
    },
    note: show,
  };
}
