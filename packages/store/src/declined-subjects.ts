import type { Database } from './database.ts';

/** An open pull request that has no environment, and why. */
export interface DeclinedSubject {
  readonly subject: string;
  readonly reason: string;
  /** When the pull request was changed last, as the forge said. */
  readonly subjectUpdatedAt: Date | null;
  readonly lookedAt: Date;
}

const COLUMNS = `subject, reason, subject_updated_at as "subjectUpdatedAt", looked_at as "lookedAt"`;

export async function writeDeclined(
  db: Database,
  declined: { projectId: string; subject: string; reason: string; subjectUpdatedAt: Date | null },
): Promise<void> {
  await db.query(
    `insert into declined_subjects (project_id, subject, reason, subject_updated_at) values ($1, $2, $3, $4)
     on conflict (project_id, subject) do update set
       reason = excluded.reason, subject_updated_at = excluded.subject_updated_at, looked_at = now()`,
    [declined.projectId, declined.subject, declined.reason, declined.subjectUpdatedAt],
  );
}

export async function forgetDeclined(
  db: Database,
  of: { projectId: string; subject: string },
): Promise<void> {
  await db.query('delete from declined_subjects where project_id = $1 and subject = $2', [
    of.projectId,
    of.subject,
  ]);
}

export async function findDeclined(
  db: Database,
  of: { projectId: string; subject: string },
): Promise<DeclinedSubject | undefined> {
  const { rows } = await db.query<DeclinedSubject>(
    `select ${COLUMNS} from declined_subjects where project_id = $1 and subject = $2`,
    [of.projectId, of.subject],
  );
  return rows[0];
}

/** At most 10,000: as many pull requests as a forge's listing may have. */
export async function listDeclined(db: Database, projectId: string): Promise<DeclinedSubject[]> {
  const { rows } = await db.query<DeclinedSubject>(
    `select ${COLUMNS} from declined_subjects where project_id = $1 order by subject limit 10000`,
    [projectId],
  );
  return rows;
}
