import type { Database } from './database.ts';
import { type Fence, writeAtFence } from './environments.ts';

/** A place on the machine, one among those that its project may run at once, or room on the disk. */
export type WaitsFor = 'machine' | 'project' | 'disk';

/** An environment as far as it needs a place among those that run. */
export interface Candidate {
  readonly id: string;
  readonly projectId: string;
  readonly slug: string;
  readonly kind: 'production' | 'preview';
  readonly generation: string;
  readonly priority: number;
  /** It is to run; else it is on its way to sleep or away. */
  readonly isWanted: boolean;
  /** Nothing is being done about it. */
  readonly isSettled: boolean;
  readonly admittedAt: Date | null;
  /** Null: it waits for nothing now. */
  readonly waitingSince: Date | null;
  /** Null: it has not asked yet. */
  readonly waitingFor: WaitsFor | null;
  readonly lastRequestAt: Date | null;
  readonly changedAt: Date;
}

/** "admission" among our advisory locks. */
const ADMISSION_LOCK_CLASS = 0xb009;

/** One decision at a time in the whole installation: two workers must not both see the last place. */
export async function lockAdmission(db: Database): Promise<void> {
  await db.query('select pg_advisory_xact_lock($1, 0)', [ADMISSION_LOCK_CLASS]);
}

/** Not who failed and tries again later, or not at all; nor who is held and has nothing from before that could run. */
const IS_WAITING = `(
  waiting_since is not null and desired_state = 'running' and generation <> observed_generation
  and (retry_at is null or retry_at <= now())
  and (held_reason is null or release_deployment_id is not null))`;

/** Those that have a place, and those that wait: for one, or, with one, for room on the disk. */
export async function listCandidates(db: Database): Promise<Candidate[]> {
  const { rows } = await db.query<Candidate>(
    `select id::text, project_id::text as "projectId", slug, kind, generation::text, priority,
       desired_state = 'running' as "isWanted",
       generation = observed_generation and running_step is null as "isSettled",
       admitted_at as "admittedAt", case when ${IS_WAITING} then waiting_since end as "waitingSince",
       waiting_for as "waitingFor",
       last_request_at as "lastRequestAt", changed_at as "changedAt"
     from environments
     where removed_at is null and (admitted_at is not null or ${IS_WAITING})
     order by environments.id`,
  );
  return rows;
}

/** It waits for nothing any more. Who had a place keeps it. */
export function writeAdmitted(db: Database, fence: Fence): Promise<boolean> {
  return writeAtFence(
    db,
    fence,
    'admitted_at = coalesce(admitted_at, now()), waiting_since = null, waiting_for = null, waiting_position = null, waiting_reason = null',
  );
}

/** It keeps its place in the queue however often it asks. What failed before it asked is over; how often is not forgotten. */
export function writeQueued(
  db: Database,
  fence: Fence,
  place: { position: number; waitsFor: WaitsFor },
): Promise<boolean> {
  return writeAtFence(
    db,
    fence,
    `waiting_since = coalesce(waiting_since, now()), waiting_position = $4, waiting_for = $5,
     failure_code = null, failure_message = null, failure_hint = null, failure_tail = '{}', retry_at = null`,
    [place.position, place.waitsFor],
  );
}

/** Nothing of it runs, so somebody else may, whatever else becomes of it. */
export function writePlaceFree(db: Database, fence: Fence): Promise<boolean> {
  return writeAtFence(db, fence, 'admitted_at = null');
}
