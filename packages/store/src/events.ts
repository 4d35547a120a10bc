import type { Database } from './database.ts';

/** Something that happened and that somebody may ask about: the answer to `bough why`. */
export interface Event {
  readonly id: string;
  readonly projectId: string | null;
  readonly environmentId: string | null;
  /** A login name, or `bough`. */
  readonly actor: string;
  /** kebab-case: `desired-changed`, `deployment-failed`, `reaped`. */
  readonly kind: string;
  readonly detail: Readonly<Record<string, unknown>>;
  readonly at: Date;
}

export async function appendEvent(
  db: Database,
  event: {
    projectId: string | null;
    environmentId: string | null;
    actor: string;
    kind: string;
    detail?: Readonly<Record<string, unknown>>;
  },
): Promise<void> {
  await db.query(
    'insert into events (project_id, environment_id, actor, kind, detail) values ($1, $2, $3, $4, $5)',
    [event.projectId, event.environmentId, event.actor, event.kind, JSON.stringify(event.detail ?? {})],
  );
}

/** Newest first. */
export async function listEvents(
  db: Database,
  filter: { projectId?: string; environmentId?: string; limit?: number } = {},
): Promise<Event[]> {
  const { rows } = await db.query<Event>(
    `select id::text, project_id::text as "projectId", environment_id::text as "environmentId", actor, kind, detail, at from events
     where ($1::bigint is null or project_id = $1) and ($2::bigint is null or environment_id = $2)
     order by events.id desc limit $3`,
    [filter.projectId ?? null, filter.environmentId ?? null, Math.min(filter.limit ?? 50, 500)],
  );
  return rows;
}

/** Keeps the table bounded. */
export async function deleteEvents(db: Database, before: Date): Promise<number> {
  const { rowCount } = await db.query('delete from events where at < $1', [before]);
  return rowCount ?? 0;
}
