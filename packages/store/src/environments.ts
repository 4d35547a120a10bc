import type { BranchOf } from '@bough/domain/branch-of';
import {
  type DataChange,
  type Environment,
  type Failure,
  type Phase,
  phase,
  type SubjectFacts,
} from '@bough/domain/environment';
import { type Database, only } from './database.ts';

interface EnvironmentRow extends Omit<Environment, 'failure'> {
  readonly failureCode: string | null;
  readonly failureMessage: string | null;
  readonly failureHint: string | null;
  readonly failureTail: readonly string[];
}

const COLUMNS = `
  e.id::text, e.project_id::text as "projectId", e.installation_id as "installationId", e.subject, e.slug, e.kind, e.trust, e.facts,
  e.desired_state as "desiredState", e.desired_commit as "desiredCommit", e.policy_commit as "policyCommit",
  e.held_reason as "heldReason", e.variables_revision::text as "variablesRevision", e.request_id::text as "requestId",
  e.generation::text, e.observed_generation::text as "observedGeneration", e.lease::text,
  e.running_step as "runningStep", e.waiting_reason as "waitingReason",
  e.failure_code as "failureCode", e.failure_message as "failureMessage", e.failure_hint as "failureHint", e.failure_tail as "failureTail",
  e.failures, e.retry_at as "retryAt", e.release_deployment_id::text as "releaseDeploymentId",
  e.data_snapshot_id::text as "dataSnapshotId", e.data_state as "dataState", e.data_note as "dataNote",
  e.data_epoch::text as "dataEpoch", e.data_answered_id::text as "dataAnsweredId", e.data_pending as "dataPending",
  e.last_request_at as "lastRequestAt", e.expires_at as "expiresAt", e.branch_of as "branchOf", e.deploy_generation::text as "deployGeneration",
  e.sleep_reason as "sleepReason", e.idle_seconds::float8 as "idleSeconds", e.expires_seconds::float8 as "expiresSeconds", e.priority,
  e.kept_until as "keptUntil", e.admitted_at as "admittedAt", e.waiting_since as "waitingSince",
  e.waiting_position as "waitingPosition", e.held_quiet as "heldQuiet",
  e.created_at as "createdAt", e.changed_at as "changedAt", e.removed_at as "removedAt"`;

function toEnvironment({
  failureCode,
  failureMessage,
  failureHint,
  failureTail,
  ...row
}: EnvironmentRow): Environment {
  const failure: Failure | null =
    failureCode === null
      ? null
      : { code: failureCode, message: failureMessage ?? '', hint: failureHint, tail: failureTail };
  return { ...row, failure };
}

export interface DesiredRow {
  readonly projectId: string;
  readonly installationId: string;
  readonly subject: string;
  readonly slug: string;
  readonly kind: 'production' | 'preview';
  /** Absent: trusted. */
  readonly trust?: Environment['trust'];
  readonly facts: SubjectFacts;
  /** `kept`: as it is; what is new or being removed runs. So a look never undoes a visit that wakes it meanwhile. */
  readonly desiredState: 'running' | 'asleep' | 'kept';
  readonly sleepReason?: string | null;
  readonly desiredCommit: string | null;
  readonly policyCommit: string | null;
  readonly heldReason: string | null;
  readonly heldQuiet?: boolean;
  /** It is held until there is room in the project: it keeps its place in the queue for that. */
  readonly heldWaits?: boolean;
  readonly variablesRevision: string;
  readonly requestId: string | null;
  readonly idleSeconds?: number | null;
  readonly expiresSeconds?: number | null;
  readonly priority?: number;
  /** Of a branch: written with its row, and never again. */
  readonly branchOf?: BranchOf | null;
  readonly expiresAt?: Date | null;
}

/**
 * Writes what an environment should be. The generation rises only when something that the environment is made of
 * differs, so that a label, a title or a policy that says the same never restarts a deployment. One statement: two
 * observers of one subject may run at once.
 */
export async function writeDesired(
  db: Database,
  desired: DesiredRow,
): Promise<{ environment: Environment; changed: boolean }> {
  // Two first observers at once: `on conflict` watches the living-subject index, and the slower one may meet the
  // slug's index first. The second try then finds the row.
  return await insertOrUpdate(db, desired).catch((error: unknown) => {
    if (isUniqueViolation(error)) return insertOrUpdate(db, desired);
    throw error;
  });
}

function isUniqueViolation(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === '23505';
}

/**
 * Whether the new wish is another one. With it go the failures of the old one: a new wish is tried at once and is not
 * shown as failed before it was. An older request, read by a slower observer, never replaces a newer one.
 */
const WANTED_STATE = `(case when $7 <> 'kept' then $7 when e.desired_state = 'absent' then 'running' else e.desired_state end)`;
const IS_MADE_OF_OTHER = `(
  (e.desired_commit, e.held_reason, e.trust, e.variables_revision, coalesce(e.request_id, 0))
  is distinct from
  (excluded.desired_commit, excluded.held_reason, excluded.trust, excluded.variables_revision,
   coalesce(greatest(excluded.request_id, e.request_id), 0)))`;
const DIFFERS = `(e.desired_state <> ${WANTED_STATE} or ${IS_MADE_OF_OTHER})`;

async function insertOrUpdate(
  db: Database,
  desired: DesiredRow,
): Promise<{ environment: Environment; changed: boolean }> {
  const { rows } = await db.query<EnvironmentRow & { changed: boolean }>(
    `with before as (
       select generation from environments where project_id = $1 and subject = $3 and removed_at is null
     )
     insert into environments as e (project_id, installation_id, subject, slug, kind, facts, desired_state, desired_commit,
                               policy_commit, held_reason, variables_revision, request_id, sleep_reason, held_quiet,
                               idle_seconds, expires_seconds, priority, limit_waiting_since, trust, branch_of, expires_at)
     values ($1, $2, $3, $4, $5, $6, case when $7 = 'kept' then 'running' else $7 end, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17,
             case when $18::boolean then now() end, $19, $20, $21)
     on conflict (project_id, subject) where removed_at is null do update set
       facts = excluded.facts,
       generation = e.generation + case when ${DIFFERS} then 1 else 0 end,
       deploy_generation = case when ${IS_MADE_OF_OTHER} then e.generation + 1 else e.deploy_generation end,
       changed_at = case when
         (e.desired_state, e.desired_commit, e.held_reason) is distinct from
         (${WANTED_STATE}, excluded.desired_commit, excluded.held_reason) then now() else e.changed_at end,
       retry_at = case when ${DIFFERS} then null else e.retry_at end,
       failures = case when ${DIFFERS} then 0 else e.failures end,
       failure_code = case when ${DIFFERS} then null else e.failure_code end,
       failure_message = case when ${DIFFERS} then null else e.failure_message end,
       failure_hint = case when ${DIFFERS} then null else e.failure_hint end,
       failure_tail = case when ${DIFFERS} then '{}' else e.failure_tail end,
       desired_state = ${WANTED_STATE},
       sleep_reason = case ${WANTED_STATE} when 'asleep' then coalesce(excluded.sleep_reason, e.sleep_reason) end,
       held_quiet = excluded.held_quiet,
       idle_seconds = excluded.idle_seconds,
       expires_seconds = excluded.expires_seconds,
       priority = excluded.priority,
       limit_waiting_since = case when $18::boolean then coalesce(e.limit_waiting_since, now()) end,
       trust = excluded.trust,
       desired_commit = excluded.desired_commit,
       policy_commit = excluded.policy_commit,
       held_reason = excluded.held_reason,
       variables_revision = excluded.variables_revision,
       request_id = greatest(excluded.request_id, e.request_id)
     returning ${COLUMNS}, coalesce(e.generation > (select generation from before), true) as changed`,
    [
      desired.projectId,
      desired.installationId,
      desired.subject,
      desired.slug,
      desired.kind,
      JSON.stringify(desired.facts),
      desired.desiredState,
      desired.desiredCommit,
      desired.policyCommit,
      desired.heldReason,
      desired.variablesRevision,
      desired.requestId,
      desired.sleepReason ?? null,
      desired.heldQuiet ?? false,
      desired.idleSeconds ?? null,
      desired.expiresSeconds ?? null,
      desired.priority ?? 0,
      desired.heldWaits ?? false,
      desired.trust ?? 'trusted',
      desired.branchOf ? JSON.stringify(desired.branchOf) : null,
      desired.expiresAt ?? null,
    ],
  );
  const { changed, ...row } = only(rows);
  return { environment: toEnvironment(row), changed };
}

/** Asks for an environment's removal. Nothing happens when it is asked for already, or when there is none. */
export async function writeAbsent(
  db: Database,
  subject: { projectId: string; subject: string },
): Promise<{ environment: Environment; changed: boolean } | undefined> {
  const { rows } = await db.query<EnvironmentRow & { changed: boolean }>(
    `with before as (
       select id, desired_state from environments where project_id = $1 and subject = $2 and removed_at is null for update
     )
     update environments e set
       desired_state = 'absent',
       generation = e.generation + case when before.desired_state = 'absent' then 0 else 1 end,
       changed_at = case when before.desired_state = 'absent' then e.changed_at else now() end,
       retry_at = null
     from before where e.id = before.id
     returning ${COLUMNS}, before.desired_state <> 'absent' as changed`,
    [subject.projectId, subject.subject],
  );
  const [found] = rows;
  if (found === undefined) return undefined;
  const { changed, ...row } = found;
  return { environment: toEnvironment(row), changed };
}

/** Notes that the forge does not know the subject, and returns since when it has not. */
export async function writeMissing(db: Database, of: { id: string; now: Date }): Promise<Date> {
  const { rows } = await db.query<{ since: string }>(
    `update environments set facts = jsonb_build_object('missingSince', $2::text) || facts
     where id = $1 returning facts ->> 'missingSince' as since`,
    [of.id, of.now.toISOString()],
  );
  return new Date(only(rows).since);
}

/** The forge knows it again. */
export async function clearMissing(db: Database, id: string): Promise<void> {
  await db.query(`update environments set facts = facts - 'missingSince' where id = $1`, [id]);
}

export async function findEnvironment(db: Database, id: string): Promise<Environment | undefined> {
  const { rows } = await db.query<EnvironmentRow>(`select ${COLUMNS} from environments e where id = $1`, [
    id,
  ]);
  return rows[0] && toEnvironment(rows[0]);
}

/** The living environment of a slug, else the last one that had it. */
export async function findEnvironmentBySlug(db: Database, slug: string): Promise<Environment | undefined> {
  const { rows } = await db.query<EnvironmentRow>(
    `select ${COLUMNS} from environments e where slug = $1 or starts_with(slug, $1 || '~')
     order by removed_at is not null, e.id desc limit 1`,
    [slug],
  );
  return rows[0] && toEnvironment(rows[0]);
}

export async function findLivingEnvironment(
  db: Database,
  of: { projectId: string; subject: string },
): Promise<Environment | undefined> {
  const { rows } = await db.query<EnvironmentRow>(
    `select ${COLUMNS} from environments e where project_id = $1 and subject = $2 and removed_at is null`,
    [of.projectId, of.subject],
  );
  return rows[0] && toEnvironment(rows[0]);
}

/** The newest environment of a subject, removed ones too. */
export async function findLastEnvironment(
  db: Database,
  of: { projectId: string; subject: string },
): Promise<Environment | undefined> {
  const { rows } = await db.query<EnvironmentRow>(
    `select ${COLUMNS} from environments e where project_id = $1 and subject = $2 order by e.id desc limit 1`,
    [of.projectId, of.subject],
  );
  return rows[0] && toEnvironment(rows[0]);
}

/** Living environments, oldest first; those removed within the last day too when asked. At most 2,000. */
export async function listEnvironments(
  db: Database,
  filter: { projectId?: string; includeRemoved?: boolean } = {},
): Promise<Environment[]> {
  const { rows } = await db.query<EnvironmentRow>(
    `select ${COLUMNS} from environments e
     where ($1::bigint is null or project_id = $1)
       and (removed_at is null or ($2 and removed_at > now() - interval '1 day'))
     order by e.id limit 2000`,
    [filter.projectId ?? null, filter.includeRemoved ?? false],
  );
  return rows.map(toEnvironment);
}

/** How many living environments there are of each kind and phase, for metrics. */
export async function countEnvironments(
  db: Database,
): Promise<{ kind: Environment['kind']; phase: Phase; count: number }[]> {
  const counts = new Map<string, { kind: Environment['kind']; phase: Phase; count: number }>();
  for (const environment of await listEnvironments(db)) {
    const { kind } = environment;
    const current = phase(environment);
    const key = `${kind} ${current}`;
    const counted = counts.get(key) ?? { kind, phase: current, count: 0 };
    counts.set(key, { ...counted, count: counted.count + 1 });
  }
  return [...counts.values()];
}

/** All of them, however many: what is not among these has no owner and may be reaped. */
export async function listLivingEnvironmentIds(db: Database): Promise<Set<string>> {
  const { rows } = await db.query<{ id: string }>(
    'select id::text from environments where removed_at is null',
  );
  return new Set(rows.map(({ id }) => id));
}

/** Ids of living environments whose world may differ from their row: unfinished, failed and due, or being removed. */
export async function listUnsettledEnvironments(db: Database): Promise<string[]> {
  const { rows } = await db.query<{ id: string }>(
    `select id::text from environments
     where removed_at is null and (generation <> observed_generation or running_step is not null or desired_state = 'absent')
       and (retry_at is null or retry_at <= now())
     order by environments.id limit 2000`,
  );
  return rows.map((row) => row.id);
}

/** Where a writer stands: writes count only while the row is still at this generation and lease. */
export interface Fence {
  readonly environmentId: string;
  readonly generation: string;
  readonly lease: string;
}

/** Raises the lease: whoever held the environment before can no longer write. */
export async function takeLease(db: Database, id: string): Promise<string | undefined> {
  const { rows } = await db.query<{ lease: string }>(
    `update environments set lease = lease + 1 where id = $1 and removed_at is null returning lease::text`,
    [id],
  );
  return rows[0]?.lease;
}

const AT_FENCE = 'id = $1 and generation = $2 and lease = $3';

export async function writeAtFence(
  db: Database,
  fence: Fence,
  set: string,
  values: readonly unknown[] = [],
): Promise<boolean> {
  const { rowCount } = await db.query(`update environments set ${set} where ${AT_FENCE}`, [
    fence.environmentId,
    fence.generation,
    fence.lease,
    ...values,
  ]);
  return rowCount === 1;
}

export function writeRunningStep(db: Database, fence: Fence, step: string): Promise<boolean> {
  return writeAtFence(db, fence, 'running_step = $4, waiting_reason = null, waiting_position = null', [step]);
}

/** It waits for something that is not its fault (a build slot, capacity): no step runs, nothing failed. */
export function writeWaiting(
  db: Database,
  fence: Fence,
  waiting: { reason: string; position: number },
): Promise<boolean> {
  return writeAtFence(db, fence, 'running_step = null, waiting_reason = $4, waiting_position = $5', [
    waiting.reason,
    waiting.position,
  ]);
}

/** The world matches the row: it waits for nothing on this machine. */
export function writeSettled(
  db: Database,
  fence: Fence,
  release: { deploymentId: string | null },
): Promise<boolean> {
  return writeAtFence(
    db,
    fence,
    `observed_generation = generation, running_step = null, waiting_reason = null, failure_code = null, failure_message = null,
     failure_hint = null, failure_tail = '{}', failures = 0, retry_at = null,
     waiting_since = null, waiting_for = null, waiting_position = null,
     release_deployment_id = coalesce($4, release_deployment_id), changed_at = now()`,
    [release.deploymentId],
  );
}

/** The release that serves, as soon as its route is swapped: a crash after the swap must not forget it. Null: none does. */
export function writeRelease(db: Database, fence: Fence, deploymentId: string | null): Promise<boolean> {
  return writeAtFence(db, fence, 'release_deployment_id = $4', [deploymentId]);
}

/** `retryAt` null: trying again cannot help until somebody changes something, so the generation counts as observed. */
export function writeFailure(
  db: Database,
  fence: Fence,
  failure: Failure,
  retryAt: Date | null,
): Promise<boolean> {
  return writeAtFence(
    db,
    fence,
    `failure_code = $4, failure_message = $5, failure_hint = $6, failure_tail = $7, failures = failures + 1, retry_at = $8,
     running_step = null, waiting_reason = null, waiting_position = null,
     waiting_since = case when $8::timestamptz is null then null else waiting_since end,
     observed_generation = case when $8::timestamptz is null then generation else observed_generation end, changed_at = now()`,
    [failure.code, failure.message, failure.hint, failure.tail, retryAt],
  );
}

export function writeData(
  db: Database,
  fence: Fence,
  data: { state: Environment['dataState']; snapshotId: string | null; note: string | null },
): Promise<boolean> {
  return writeAtFence(db, fence, 'data_state = $4, data_snapshot_id = $5, data_note = $6', [
    data.state,
    data.snapshotId,
    data.note,
  ]);
}

/** What other data an environment is getting, before anything of it is made: a crash goes on with the same. */
export function writePendingData(db: Database, fence: Fence, change: DataChange): Promise<boolean> {
  return writeAtFence(db, fence, 'data_pending = $4', [JSON.stringify(change)]);
}

/** What was begun for a request is not to be had any more. */
export function writeNoPendingData(db: Database, fence: Fence): Promise<boolean> {
  return writeAtFence(db, fence, 'data_pending = null');
}

/** The other data serves: from now on it is the environment's. */
export function writeDataChange(db: Database, fence: Fence, change: DataChange): Promise<boolean> {
  return writeAtFence(
    db,
    fence,
    `data_epoch = $4, data_answered_id = $4, data_pending = null, data_state = $5, data_snapshot_id = $6, data_note = $7`,
    [change.requestId, change.state, change.snapshotId, change.note],
  );
}

/** A request for other data came to nothing, or to what was there: what the environment has stays. */
export function writeDataAnswered(db: Database, fence: Fence, requestId: string): Promise<boolean> {
  return writeAtFence(db, fence, 'data_answered_id = $4, data_pending = null', [requestId]);
}

/**
 * Its volumes are about to go. Written before the first does: when the pull request is reopened in the middle, what comes
 * next clones anew, instead of starting empty under the words "clone of production".
 */
export function writeDismantled(db: Database, fence: Fence): Promise<boolean> {
  return writeAtFence(
    db,
    fence,
    `release_deployment_id = null, data_state = 'undecided', data_snapshot_id = null, data_note = null, data_pending = null`,
  );
}

/** Nothing of it is left. Credentials go with it; the row and its deployments stay as history. */
export async function writeRemoved(db: Database, fence: Fence): Promise<boolean> {
  // One statement: after a crash in between nobody would come back for the credentials of what is removed.
  const { rows } = await db.query<{ removed: boolean }>(
    `with removed as (
       update environments set
         removed_at = now(), observed_generation = generation, running_step = null, waiting_reason = null, changed_at = now(),
         failure_code = null, failure_message = null, failure_hint = null, failure_tail = '{}', release_deployment_id = null,
         slug = slug || '~' || id, data_snapshot_id = null
       where ${AT_FENCE} returning id
     ), forgotten as (
       delete from credentials using removed where environment_id = removed.id
     ), unrouted as (
       delete from routes using removed where environment_id = removed.id
     )
     select exists (select from removed) as removed`,
    [fence.environmentId, fence.generation, fence.lease],
  );
  return rows[0]?.removed === true;
}
