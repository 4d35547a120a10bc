import type { EnvironmentLock } from '@bough/store/environment-lock';
import { findEnvironment, listEnvironments } from '@bough/store/environments';
import { findProject } from '@bough/store/projects';
import { findFailedCapture } from '@bough/store/snapshots';
import type { Context } from './context.ts';
import { refreshGolden, settleDeadCaptures } from './data/golden.ts';
import { mirrorOf, type Outcome, repositoryOf } from './observe.ts';
import { readPolicyAt } from './policy.ts';

/**
 * Makes a new golden snapshot of a parent: after each of its deployments, and when somebody asks. Off every preview's
 * path: they clone what is frozen already. The environment's lock is not taken, because a capture must not keep a
 * deployment waiting; captures exclude each other.
 */
export async function refreshData(
  context: Context,
  environmentId: string,
  signal: AbortSignal,
): Promise<Outcome> {
  const parent = await findEnvironment(context.pool, environmentId);
  const project = parent && (await findProject(context.pool, parent.projectId));
  if (
    parent === undefined ||
    project === undefined ||
    parent.removedAt !== null ||
    parent.releaseDeploymentId === null
  ) {
    return { kind: 'done' };
  }
  const head = await context
    .forge(project.forge)
    .readBranch(repositoryOf(project), project.defaultBranch, signal);
  if (head === 'gone') return { kind: 'done' };
  const mirror = mirrorOf(context, project);
  await context.forge(project.forge).fetch(repositoryOf(project), { mirror, commit: head.commit, signal });
  const policy = await readPolicyAt(context, { mirror, commit: head.commit, signal });
  if (policy.data === null) return { kind: 'done' };
  await settleDeadCaptures(context, parent.id);
  const waitMs =
    ((await findFailedCapture(context.pool, parent.id))?.retryAt?.getTime() ?? 0) -
    context.clock.now().getTime();
  if (waitMs > 0) return { kind: 'again', delayMs: waitMs };
  // Nothing is written at this fence: it stands for "no environment's lock".
  const lock: EnvironmentLock = { signal, fence: { environmentId, generation: '0', lease: '0' } };
  const log = { environmentId, project: project.slug };
  const refreshed = await refreshGolden(context, {
    project,
    parent,
    policy,
    sanitize: policy.data.sanitize,
    lock,
    voice: {
      line: (text) => context.log.info({ ...log, text }, 'refreshing data'),
      note: async () => {},
    },
    onlyIfAbsent: false,
  }).catch(async (error: unknown) => {
    const failed = await findFailedCapture(context.pool, parent.id);
    // Aborted, or it failed before there was anything to count it in: the queue tries again.
    if (failed?.retryAt == null || signal.aborted) throw error;
    return failed;
  });
  if (refreshed.state === 'failed') {
    const { failureMessage, failures, retryAt } = refreshed;
    context.log.warn({ ...log, reason: failureMessage, failures, retryAt }, 'no new golden snapshot');
    await tellPreviews(context, project.id);
    return {
      kind: 'again',
      delayMs: Math.max(1_000, (retryAt?.getTime() ?? 0) - context.clock.now().getTime()),
    };
  }
  context.log.info(
    { ...log, snapshotId: refreshed.id, sizeBytes: refreshed.sizeBytes },
    'golden snapshot is frozen',
  );
  await tellPreviews(context, project.id);
  return { kind: 'done' };
}

/** Their comments say since when there is no newer data, and why. */
async function tellPreviews(context: Context, projectId: string): Promise<void> {
  for (const { id, kind } of await listEnvironments(context.pool, { projectId }))
    if (kind === 'preview') await context.enqueue('feedback', id);
}
