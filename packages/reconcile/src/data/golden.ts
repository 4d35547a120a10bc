import { BoughError } from '@bough/domain/bough-error';
import type { Environment } from '@bough/domain/environment';
import type { DataPolicy } from '@bough/manifest/manifest';
import { sourceDigest } from '@bough/manifest/source-digest';
import { sanitizeLabel } from '@bough/sanitize/policy-digest';
import { findDeployment, readPlan } from '@bough/store/deployments';
import type { EnvironmentLock } from '@bough/store/environment-lock';
import { findLivingEnvironment } from '@bough/store/environments';
import type { Project } from '@bough/store/projects';
import {
  failSnapshot,
  findFailedCapture,
  listKeptSnapshots,
  markSnapshotRemoved,
  newestFrozenSnapshot,
  type SnapshotRow,
} from '@bough/store/snapshots';
import type pg from 'pg';
import type { Context } from '../context.ts';
import type { PlannedRun, StepVoice } from '../deploy/run.ts';
import { mirrorOf } from '../observe.ts';
import type { Policy } from '../policy.ts';
import { readStoredPlan } from '../stored-plan.ts';
import { captureGolden } from './capture.ts';
import { planElsewhere } from './load-source.ts';
import { isUnfit, unfitWords } from './sanitize-capture.ts';
import { warmGoldens } from './warm-goldens.ts';

/** First half of the advisory lock's key: "capture" among our advisory locks. */
const CAPTURE_LOCK_CLASS = 0xb007;
const CAPTURE_LOCK_LOOK_MS = 200;

export type GoldenSource =
  | { readonly kind: 'golden'; readonly snapshot: SnapshotRow }
  /** There is nothing to clone from, and why, in words for the comment. */
  | { readonly kind: 'none'; readonly reason: string };

/** The newest golden snapshot of the project's production; captured now when there is none yet. */
export async function findOrCaptureGolden(
  context: Context,
  of: { project: Project; policy: Policy; data: DataPolicy; lock: EnvironmentLock; voice: StepVoice },
): Promise<GoldenSource> {
  const parent = await findLivingEnvironment(context.pool, {
    projectId: of.project.id,
    subject: 'production',
  });
  const isHere = parent !== undefined && parent.releaseDeploymentId !== null;
  const isElsewhere = Object.keys(of.data.source).length > 0;
  if (!isHere && !isElsewhere) {
    return {
      kind: 'none',
      reason:
        of.project.production === 'external'
          ? 'production does not run on this Bough and `data:` names no `source:`, so there is nothing to clone; services start empty'
          : 'production has not been deployed yet, so there is nothing to clone; services start empty',
    };
  }
  const present = await newestFrozenSnapshot(context.pool, of.project.id);
  const failed = await findFailedCapture(context.pool, of.project.id);
  if (present !== undefined && isFor(of.data, present)) return { kind: 'golden', snapshot: present };
  const isAsked =
    failed?.retryAt !== null && failed?.retryAt !== undefined && failed.retryAt <= context.clock.now();
  // The same rules for the same production would find the same: one capture at a time is enough to learn that.
  if (failed?.sanitize === sanitizeLabel(of.data.sanitize) && isUnfit(failed.failureCode) && !isAsked)
    return {
      kind: 'none',
      reason: unfitWords({ message: failed.failureMessage ?? '', hint: failed.failureHint }),
    };
  // Reading a production elsewhere may take hours: nobody's deployment waits for that.
  if (isElsewhere) {
    await context.enqueue('data', of.project.id);
    const why = failed?.failureMessage
      ? `it could not be made so far: ${failed.failureMessage}`
      : 'it is being made';
    return {
      kind: 'none',
      reason: `services start empty, because there is no golden snapshot of production yet (${why}); \`/bough sync\` brings its data when it is there`,
    };
  }
  of.voice.line('no golden snapshot of production yet: capturing one');
  const snapshot = await refreshGolden(context, {
    ...{ ...of, parent, onlyIfAbsent: true },
    why: 'a preview found none',
  });
  return { kind: 'golden', snapshot };
}

/** Whether it was made under these rules, of this source. Another may be outdated too, but is what was asked for. */
function isFor(data: DataPolicy, { sanitize, sourceDigest: digest }: SnapshotRow): boolean {
  const isSource = digest === null || digest === sourceDigest(data.source);
  return isSource && sanitize === sanitizeLabel(data.sanitize);
}

/**
 * Captures the parent anew and removes goldens that nobody needs. One capture of a parent at a time; who comes second
 * with `onlyIfAbsent` takes what the first one made.
 */
export async function refreshGolden(
  context: Context,
  of: {
    project: Project;
    /** Production where it runs here; its data may come from elsewhere. */
    parent: Environment | undefined;
    policy: Policy;
    data: DataPolicy;
    lock: EnvironmentLock;
    voice: StepVoice;
    /** Who or what asked for it, for the report. */
    why: string;
    onlyIfAbsent: boolean;
  },
): Promise<SnapshotRow> {
  const golden = await withCaptureLock(context, of.project.id, { wait: of.lock.signal }, async () => {
    if (of.onlyIfAbsent) {
      const present = await newestFrozenSnapshot(context.pool, of.project.id);
      if (present !== undefined && isFor(of.data, present)) return present;
    }
    const { project, parent, lock, voice } = of;
    const { commit } = of.policy;
    const run =
      parent === undefined
        ? await planElsewhere({ context, project, commit, lock }, voice)
        : await readRelease(context, project, parent, lock);
    const snapshot = await captureGolden(
      run,
      { ...of.data, commit, why: of.why, isElsewhere: parent === undefined },
      voice,
    );
    await pruneGoldens(context, of.project.id, of.data.keep);
    await warmGoldens(context);
    return snapshot;
  });
  if (golden === undefined)
    throw new BoughError({ code: 'capture-busy', message: 'Another capture is under way.', retryable: true });
  return golden;
}

/** A run of the environment's serving release, to read its plan and reach its services; nothing is deployed by it. */
export async function readRelease(
  context: Context,
  project: Project,
  environment: Environment,
  lock: EnvironmentLock,
): Promise<PlannedRun> {
  const id = environment.releaseDeploymentId;
  const deployment = id === null ? undefined : await findDeployment(context.pool, id);
  const stored = id === null ? undefined : readStoredPlan(await readPlan(context.pool, id));
  if (deployment === undefined || stored === undefined) {
    throw new BoughError({
      code: 'release-unknown',
      message: `${environment.slug} has no release that could be read.`,
      hint: `Deploy it again: bough env redeploy ${environment.slug}`,
    });
  }
  return {
    context,
    lock,
    project,
    environment,
    deployment,
    commit: deployment.commit,
    mirror: mirrorOf(context, project),
    policy: null,
    secrets: new Set(),
    ...stored,
  };
}

/**
 * Runs `work` while no other capture of the project's data does. Without `wait`, does nothing when one is under way. The lock is
 * a session's: it ends with the process that captures. Whoever waits asks again and again and holds no connection in
 * between, so that a preview that waits can be closed or overtaken at any time.
 */
export async function withCaptureLock<Result>(
  context: Context,
  projectId: string,
  options: { wait: AbortSignal | false },
  work: () => Promise<Result>,
): Promise<Result | undefined> {
  for (;;) {
    const tried = await tryCaptureLock(context, projectId, work);
    if (tried.kind === 'held') return tried.result;
    if (options.wait === false) return undefined;
    options.wait.throwIfAborted();
    await context.clock.sleep(CAPTURE_LOCK_LOOK_MS, options.wait);
  }
}

async function tryCaptureLock<Result>(
  context: Context,
  projectId: string,
  work: () => Promise<Result>,
): Promise<{ kind: 'held'; result: Result } | { kind: 'busy' }> {
  const client: pg.PoolClient = await context.pool.connect();
  let broken: Error | undefined;
  try {
    const { rows } = await client.query<{ locked: boolean }>(
      'select pg_try_advisory_lock($1, $2::int) as locked',
      [CAPTURE_LOCK_CLASS, Number(projectId) % 2_147_483_647],
    );
    return rows[0]?.locked === true ? { kind: 'held', result: await work() } : { kind: 'busy' };
  } finally {
    await client.query('select pg_advisory_unlock_all()').catch((error: Error) => {
      broken = error;
    });
    client.release(broken);
  }
}

/** Not only `capturing`: what is captured but not frozen yet is as much somebody's. */
export function isUnderWay({ state }: SnapshotRow): boolean {
  return state !== 'frozen' && state !== 'failed';
}

/** A capture whose worker died stays under way for ever: nobody holds its lock any more, so it is over. */
export async function settleDeadCaptures(context: Context, projectId?: string): Promise<void> {
  const dead = (await listKeptSnapshots(context.pool, projectId)).filter(isUnderWay);
  for (const row of dead) {
    await withCaptureLock(context, row.projectId, { wait: false }, () =>
      failSnapshot(context.pool, row.id, {
        code: 'capture-died',
        message: 'The worker that captured production’s data ended in the middle of it.',
        hint: 'Bough tries again. If it happens again, look for a lack of memory in the log of the machine.',
      }),
    );
  }
}

export async function removeGolden(
  context: Pick<Context, 'pool' | 'storage'>,
  row: Pick<SnapshotRow, 'id' | 'volumes'>,
): Promise<void> {
  // First the row: a golden that is half removed must not be cloned.
  await markSnapshotRemoved(context.pool, row.id);
  for (const volume of Object.values(row.volumes)) await context.storage.removeSnapshot(volume.snapshotId);
}

/** Removes goldens that no living preview descends from, except the newest ones; and what failed captures left. */
async function pruneGoldens(context: Context, projectId: string, keep: number): Promise<void> {
  const kept = await listKeptSnapshots(context.pool, projectId);
  const frozen = kept.filter((row) => row.state === 'frozen');
  const stale = frozen.slice(keep).filter((row) => row.descendants === 0);
  for (const row of stale) await removeGolden(context, row);
  for (const row of kept.filter((candidate) => candidate.state === 'failed'))
    await markSnapshotRemoved(context.pool, row.id);
}
