import type { Database } from './database.ts';

/** Previews of a project that run or sleep beside this one, and those that wait for a place before it. */
export async function countOtherPreviews(
  db: Database,
  of: { projectId: string; subject: string },
): Promise<{ made: number; waiting: number }> {
  const { rows } = await db.query<{ made: number; waiting: number }>(
    `with mine as (
       select coalesce(limit_waiting_since, now()) as since, id from environments
       where project_id = $1 and subject = $2 and removed_at is null
     )
     select
       count(*) filter (where held_reason is null and desired_state <> 'absent')::int as made,
       count(*) filter (
         where limit_waiting_since is not null and desired_state <> 'absent'
           and ((select since from mine) is null or (limit_waiting_since, id) < (select since, id from mine)))::int as waiting
     from environments
     where project_id = $1 and subject <> $2 and kind = 'preview' and removed_at is null`,
    [of.projectId, of.subject],
  );
  return rows[0] ?? { made: 0, waiting: 0 };
}

/** Subjects of a project that wait until another preview is removed, the longest first. */
export async function listWaitingSubjects(db: Database, projectId: string, limit: number): Promise<string[]> {
  const { rows } = await db.query<{ subject: string }>(
    `select subject from environments
     where project_id = $1 and kind = 'preview' and removed_at is null and limit_waiting_since is not null
     order by limit_waiting_since, environments.id limit $2`,
    [projectId, limit],
  );
  return rows.map(({ subject }) => subject);
}

export interface Expired {
  readonly id: string;
  readonly projectId: string;
  readonly subject: string;
  readonly desiredCommit: string | null;
  readonly isAsked: boolean;
}

/**
 * Previews that nobody visited or changed for longer than their policy allows, and branches whose time is over, whatever
 * they do just now; at most 500. `isAsked`: somebody asked them away already, and nobody has looked yet.
 */
export async function listExpired(db: Database, now: Date): Promise<Expired[]> {
  const { rows } = await db.query<Expired>(
    `select id::text, project_id::text as "projectId", subject, desired_commit as "desiredCommit",
       exists (
         select from requests r
         where r.project_id = environments.project_id and r.subject = environments.subject and r.kind = 'delete' and r.handled_at is null
       ) as "isAsked"
     from environments
     where kind = 'preview' and removed_at is null and desired_state <> 'absent'
       and (expires_at < $1
         or (running_step is null and generation = observed_generation
           and greatest(changed_at, last_request_at) + make_interval(secs => expires_seconds) < $1))
       and (kept_until is null or kept_until < $1)
     order by environments.id limit 500`,
    [now],
  );
  return rows;
}
