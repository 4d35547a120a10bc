import type { Database } from './database.ts';
import { type Fence, writeAtFence } from './environments.ts';

/** Writes that put an environment to sleep or wake it. Nothing of what it is made of changes. */

/** False when it is not asleep: it is being removed, or somebody else was first. */
export async function writeAwake(db: Database, environmentId: string): Promise<boolean> {
  const { rowCount } = await db.query(
    `update environments set
       desired_state = 'running', sleep_reason = null, generation = generation + 1, changed_at = now(), retry_at = null,
       failures = 0, failure_code = null, failure_message = null, failure_hint = null, failure_tail = '{}'
     where id = $1 and desired_state = 'asleep' and removed_at is null`,
    [environmentId],
  );
  return rowCount === 1;
}

/** False when anything was asked of it meanwhile, or somebody came: the row must be as it was when it was judged. */
export async function writeAsleep(
  db: Database,
  judged: { environmentId: string; generation: string; lastRequestAt: Date | null; reason: string },
): Promise<boolean> {
  const { rowCount } = await db.query(
    `update environments set
       desired_state = 'asleep', sleep_reason = $4, generation = generation + 1, changed_at = now(), retry_at = null
     where id = $1 and generation = $2 and desired_state = 'running' and removed_at is null and kind = 'preview'
       and date_trunc('milliseconds', last_request_at) is not distinct from $3`,
    [judged.environmentId, judged.generation, judged.lastRequestAt, judged.reason],
  );
  return rowCount === 1;
}

/** Previews that run and were neither changed nor visited for longer than their policy allows; at most 500. */
export async function listIdle(
  db: Database,
  now: Date,
): Promise<{ id: string; generation: string; lastRequestAt: Date | null; idleSeconds: number }[]> {
  const { rows } = await db.query<{
    id: string;
    generation: string;
    lastRequestAt: Date | null;
    idleSeconds: number;
  }>(
    `select id::text, generation::text, last_request_at as "lastRequestAt", idle_seconds::float8 as "idleSeconds"
     from environments
     where kind = 'preview' and removed_at is null and desired_state = 'running' and held_reason is null
       and generation = observed_generation and running_step is null and release_deployment_id is not null
       and greatest(changed_at, last_request_at) + make_interval(secs => idle_seconds) < $1
       and (kept_until is null or kept_until < $1)
     order by environments.id limit 500`,
    [now],
  );
  return rows;
}

/**
 * Nothing of it runs any more, and when it wakes it stands behind those who wait already. That its last deployment failed
 * stays known; what is to be tried again is the sleep itself, which has come about now.
 */
export function writeSleeping(db: Database, fence: Fence): Promise<boolean> {
  return writeAtFence(
    db,
    fence,
    `observed_generation = generation, running_step = null, waiting_reason = null, admitted_at = null, retry_at = null,
     waiting_since = null, waiting_for = null, waiting_position = null,
     failures = case when retry_at is null then failures else 0 end,
     failure_code = case when retry_at is null then failure_code end,
     failure_message = case when retry_at is null then failure_message end,
     failure_hint = case when retry_at is null then failure_hint end,
     failure_tail = case when retry_at is null then failure_tail else '{}' end`,
  );
}

/** Until then it is neither put to sleep for want of visitors nor removed for its age. */
export async function writeKept(
  db: Database,
  kept: { projectId: string; subject: string; until: Date },
): Promise<void> {
  await db.query(
    'update environments set kept_until = $3 where project_id = $1 and subject = $2 and removed_at is null',
    [kept.projectId, kept.subject, kept.until],
  );
}
