import type { EnvironmentLock } from '@bough/store/environment-lock';
import { findEnvironment } from '@bough/store/environments';
import { findProject } from '@bough/store/projects';
import type { Context } from './context.ts';
import { refreshGolden } from './data/golden.ts';
import { unfitNote } from './data/sanitize-capture.ts';
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
  }).catch((error: unknown) => {
    const reason = unfitNote(error);
    if (reason === undefined) throw error;
    return { reason };
  });
  if ('reason' in refreshed) {
    // Trying again would find the same; the next deployment, or a change of the rules, brings it here anew.
    context.log.warn({ ...log, reason: refreshed.reason }, 'golden snapshot refused');
    return { kind: 'done' };
  }
  context.log.info(
    { ...log, snapshotId: refreshed.id, sizeBytes: refreshed.sizeBytes },
    'golden snapshot is frozen',
  );
  return { kind: 'done' };
}
