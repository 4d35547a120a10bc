import { type Database, only } from './database.ts';

/** Whether a project's golden snapshot is to be made anew, and how the last attempt went. */
export interface DataRefresh {
  readonly projectId: string;
  readonly askedAt: Date | null;
  readonly askedBy: string | null;
  /** Null while none is under way. */
  readonly startedAt: Date | null;
  readonly progress: string | null;
  /** The start of the newest attempt that ended. */
  readonly attemptedAt: Date | null;
  /** Of the `data:` policy under which it was made. */
  readonly policyDigest: string | null;
  /** Of production's schema just before it; null: not seen. */
  readonly schemaDigest: string | null;
  /** What came of it, in words; why captures fail is in the snapshot that failed. */
  readonly note: string | null;
  readonly dueAt: Date | null;
}

const COLUMNS = `project_id::text as "projectId", asked_at as "askedAt", asked_by as "askedBy", started_at as "startedAt", progress,
  attempted_at as "attemptedAt", policy_digest as "policyDigest", schema_digest as "schemaDigest", note, due_at as "dueAt"`;

/** Durable: whoever looks at the project's data next makes a new golden snapshot, also when captures fail and one waits. */
export async function askForRefresh(
  db: Database,
  asked: { projectId: string; askedBy: string },
): Promise<void> {
  await db.query(
    `with retried as (update snapshots set retry_at = now() where project_id = $1 and state = 'failed')
     insert into data_refreshes (project_id, asked_at, asked_by) values ($1, clock_timestamp(), $2)
     on conflict (project_id) do update set asked_at = excluded.asked_at, asked_by = excluded.asked_by`,
    [asked.projectId, asked.askedBy],
  );
}

/** The project's row; made when there is none yet. */
export async function readDataRefresh(db: Database, projectId: string): Promise<DataRefresh> {
  await db.query('insert into data_refreshes (project_id) values ($1) on conflict do nothing', [projectId]);
  return only(await select(db, 'project_id = $1', [projectId]));
}

export async function findDataRefresh(db: Database, projectId: string): Promise<DataRefresh | undefined> {
  return (await select(db, 'project_id = $1', [projectId]))[0];
}

/** Projects whose data somebody asked to be made anew, or whose schedule says that it is time. */
export async function listDueRefreshes(db: Database): Promise<string[]> {
  const { rows } = await db.query<{ id: string }>(
    `select project_id::text as id from data_refreshes
     where due_at <= now() or asked_at > coalesce(attempted_at, '-infinity') or started_at is not null order by project_id limit 1000`,
  );
  return rows.map(({ id }) => id);
}

export async function startRefresh(db: Database, projectId: string): Promise<Date> {
  const { rows } = await db.query<{ at: Date }>(
    `update data_refreshes set started_at = clock_timestamp(), progress = null where project_id = $1 returning started_at as at`,
    [projectId],
  );
  return only(rows).at;
}

export async function noteRefresh(db: Database, projectId: string, progress: string): Promise<void> {
  await db.query('update data_refreshes set progress = $2 where project_id = $1 and started_at is not null', [
    projectId,
    progress.slice(0, 500),
  ]);
}

/** What came of the attempt that began at `startedAt`. A failure keeps what was there. */
export async function settleRefresh(
  db: Database,
  settled: {
    projectId: string;
    startedAt: Date;
    policyDigest: string;
    schemaDigest: string | null;
    note: string | null;
    dueAt: Date | null;
  },
): Promise<void> {
  const { projectId, startedAt, policyDigest, note, dueAt, schemaDigest } = settled;
  await db.query(
    `update data_refreshes set started_at = null, progress = null, attempted_at = $2, policy_digest = $3, note = $4, due_at = $5,
       schema_digest = $6
     where project_id = $1`,
    [projectId, startedAt, policyDigest, note, dueAt, schemaDigest],
  );
}

/** No attempt was made: only the time of the next may have changed. A schema that is seen for the first time is what later ones are compared with. */
export async function scheduleRefresh(
  db: Database,
  of: { projectId: string; dueAt: Date | null; schemaDigest: string | null },
): Promise<void> {
  await db.query(
    `update data_refreshes set due_at = $2, started_at = null, progress = null, schema_digest = coalesce(schema_digest, $3)
     where project_id = $1`,
    [of.projectId, of.dueAt, of.schemaDigest],
  );
}

async function select(db: Database, where: string, values: readonly unknown[]): Promise<DataRefresh[]> {
  const { rows } = await db.query<DataRefresh>(`select ${COLUMNS} from data_refreshes where ${where}`, [
    ...values,
  ]);
  return rows;
}
