import type { Database } from './database.ts';

/** Somebody with write access let one commit of an untrusted pull request run (DESIGN §10). */
export interface Approval {
  readonly id: string;
  readonly commit: string;
  /** Of what the commit says about itself, and of what the default branch said about previews then. */
  readonly manifestDigest: string;
  readonly policyDigest: string;
  readonly approvedBy: string;
  readonly approvedAt: Date;
  /** Until then it may start something new. */
  readonly expiresAt: Date;
}

const COLUMNS = `approvals.id::text, commit, manifest_digest as "manifestDigest", policy_digest as "policyDigest",
  approved_by as "approvedBy", approved_at as "approvedAt", expires_at as "expiresAt"`;

/** One for each request: a look that is repeated after a crash approves nothing twice. */
export async function insertApproval(
  db: Database,
  approval: Omit<Approval, 'id' | 'approvedAt'> & { projectId: string; subject: string; requestId: string },
): Promise<void> {
  await db.query(
    `insert into approvals (project_id, subject, commit, manifest_digest, policy_digest, approved_by, expires_at, request_id)
     values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict (request_id) do nothing`,
    [
      approval.projectId,
      approval.subject,
      approval.commit,
      approval.manifestDigest,
      approval.policyDigest,
      approval.approvedBy,
      approval.expiresAt,
      approval.requestId,
    ],
  );
}

/** The newest one of a commit. */
export async function lastApproval(
  db: Database,
  of: { projectId: string; subject: string; commit: string },
): Promise<Approval | undefined> {
  const { rows } = await db.query<Approval>(
    `select ${COLUMNS} from approvals where project_id = $1 and subject = $2 and commit = $3 order by approvals.id desc limit 1`,
    [of.projectId, of.subject, of.commit],
  );
  return rows[0];
}
