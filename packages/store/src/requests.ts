import type { Environment } from '@bough/domain/environment';
import { type Database, only } from './database.ts';

export type RequestKind =
  | 'open'
  | 'redeploy'
  | 'rebuild'
  | 'sync'
  | 'reset'
  | 'sleep'
  | 'wake'
  | 'keep'
  | 'approve'
  | 'delete';

export interface Request {
  readonly id: string;
  readonly projectId: string;
  readonly subject: string;
  readonly kind: RequestKind;
  readonly argument: string | null;
  readonly askedBy: string;
  readonly askedAt: Date;
}

const COLUMNS = `id::text, project_id::text as "projectId", subject, kind, argument, asked_by as "askedBy", asked_at as "askedAt"`;

/** What a person asked for. Durable: it is acted on by observe, however often that has to start. */
export async function insertRequest(
  db: Database,
  request: {
    projectId: string;
    subject: string;
    kind: RequestKind;
    argument: string | null;
    askedBy: string;
  },
): Promise<Request> {
  const { rows } = await db.query<Request>(
    `insert into requests (project_id, subject, kind, argument, asked_by) values ($1, $2, $3, $4, $5) returning ${COLUMNS}`,
    [request.projectId, request.subject, request.kind, request.argument, request.askedBy],
  );
  return only(rows);
}

/** Oldest first. */
export async function openRequests(
  db: Database,
  of: { projectId: string; subject: string },
): Promise<Request[]> {
  const { rows } = await db.query<Request>(
    `select ${COLUMNS} from requests where project_id = $1 and subject = $2 and handled_at is null order by requests.id limit 100`,
    [of.projectId, of.subject],
  );
  return rows;
}

/** The newest request for other data that went into the environment's wish and is not answered yet. */
export async function openDataRequest(
  db: Database,
  environment: Pick<Environment, 'projectId' | 'subject' | 'createdAt' | 'requestId' | 'dataAnsweredId'>,
): Promise<Request | undefined> {
  const { rows } = await db.query<Request>(
    `select ${COLUMNS} from requests
     where project_id = $1 and subject = $2 and kind in ('sync', 'reset') and asked_at >= $3
       and requests.id <= $4::bigint and requests.id > coalesce($5::bigint, 0) order by requests.id desc limit 1`,
    [
      environment.projectId,
      environment.subject,
      environment.createdAt,
      environment.requestId,
      environment.dataAnsweredId,
    ],
  );
  return rows[0];
}

/** The last request of a kind for a subject, handled or not: `delete` keeps a preview away until somebody asks again. */
export async function lastRequest(
  db: Database,
  of: { projectId: string; subject: string; kinds: readonly RequestKind[] },
): Promise<Request | undefined> {
  const { rows } = await db.query<Request>(
    `select ${COLUMNS} from requests where project_id = $1 and subject = $2 and kind = any($3) order by requests.id desc limit 1`,
    [of.projectId, of.subject, of.kinds],
  );
  return rows[0];
}

/** Subjects of active projects with requests that nobody looked at although they were made before then; at most 500. */
export async function listUnheardSubjects(
  db: Database,
  before: Date,
): Promise<{ projectId: string; subject: string }[]> {
  const { rows } = await db.query<{ projectId: string; subject: string }>(
    `select distinct r.project_id::text as "projectId", r.subject from requests r join projects p on p.id = r.project_id
     where r.handled_at is null and r.asked_at < $1 and p.state = 'active' limit 500`,
    [before],
  );
  return rows;
}

export async function handleRequests(db: Database, ids: readonly string[], outcome: string): Promise<void> {
  if (ids.length === 0) return;
  await db.query(
    'update requests set handled_at = now(), outcome = $2 where id = any($1::bigint[]) and handled_at is null',
    [ids, outcome],
  );
}

/** A rebuild is of the commit that it was asked for: what is built of later ones may be reused again. */
export async function bindRebuilds(
  db: Database,
  requests: readonly Request[],
  commit: string,
): Promise<void> {
  const ids = requests
    .filter(({ kind, argument }) => kind === 'rebuild' && argument === null)
    .map(({ id }) => id);
  if (ids.length === 0) return;
  await db.query('update requests set argument = $2 where id = any($1::bigint[]) and argument is null', [
    ids,
    commit,
  ]);
}

export async function findRequest(db: Database, id: string): Promise<Request | undefined> {
  const { rows } = await db.query<Request>(`select ${COLUMNS} from requests where id = $1`, [id]);
  return rows[0];
}
