import type { Database } from './database.ts';

/** On which it is announced that somebody stands before an environment that is asleep; the payload is its id. */
export const wakesChannel = 'wakes';

/** When people were there last, many environments in one statement. Never moves a time back. */
export async function recordVisits(
  db: Database,
  visits: readonly { environmentId: string; at: Date }[],
): Promise<void> {
  await db.query(
    `update environments e set last_request_at = greatest(e.last_request_at, seen.at)
     from jsonb_to_recordset($1::jsonb) as seen ("environmentId" bigint, at timestamptz)
     where e.id = seen."environmentId" and e.removed_at is null`,
    [JSON.stringify(visits)],
  );
}

/** A visitor's request to wake an environment; a second one while the first is open is the same. Only what is asleep is asked. */
export async function askToWake(db: Database, environmentId: string): Promise<void> {
  await db.query(
    `with asleep as (
       select id, project_id, subject from environments
       where id = $1 and desired_state = 'asleep' and removed_at is null
     ), asked as (
       insert into requests (project_id, subject, kind, asked_by)
       select project_id, subject, 'wake', 'a visitor' from asleep
       where not exists (
         select from requests r
         where r.project_id = asleep.project_id and r.subject = asleep.subject and r.kind = 'wake' and r.handled_at is null)
     )
     select pg_notify('${wakesChannel}', id::text) from asleep`,
    [environmentId],
  );
}

/** Environments that are asleep although somebody asked for them; at most 1,000. */
export async function listAskedToWake(db: Database): Promise<string[]> {
  const { rows } = await db.query<{ id: string }>(
    `select e.id::text from environments e
     where e.desired_state = 'asleep' and e.removed_at is null and exists (
       select from requests r
       where r.project_id = e.project_id and r.subject = e.subject and r.kind = 'wake' and r.handled_at is null)
     order by e.id limit 1000`,
  );
  return rows.map(({ id }) => id);
}
