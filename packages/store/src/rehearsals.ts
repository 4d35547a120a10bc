import type { RehearsalVerdict } from '@bough/domain/rehearsal';
import type { Database } from './database.ts';

/** The rehearsal of a deployment's migrations. `report` is there when it is done; see RehearsalReport. */
export interface Rehearsal {
  readonly id: string;
  readonly environmentId: string;
  readonly deploymentId: string;
  readonly state: 'queued' | 'running' | 'done' | 'aborted';
  readonly snapshotId: string | null;
  readonly verdict: RehearsalVerdict | null;
  readonly report: unknown;
  /** The rehearsal whose result it is. */
  readonly reusedId: string | null;
  readonly queuedAt: Date;
  readonly startedAt: Date | null;
  readonly finishedAt: Date | null;
}

const COLUMNS = `id::text, environment_id::text as "environmentId", deployment_id::text as "deploymentId", state,
  snapshot_id::text as "snapshotId", verdict, report, reused_id::text as "reusedId", queued_at as "queuedAt",
  started_at as "startedAt", finished_at as "finishedAt"`;

export async function queueRehearsal(
  db: Database,
  of: { environmentId: string; deploymentId: string },
): Promise<void> {
  await db.query(
    'insert into rehearsals (environment_id, deployment_id) values ($1, $2) on conflict (deployment_id) do nothing',
    [of.environmentId, of.deploymentId],
  );
}

/** What waits or is under way, also when a crash left it so. Newest first. */
export async function listOpenRehearsals(db: Database, environmentId?: string): Promise<Rehearsal[]> {
  const { rows } = await db.query<Rehearsal>(
    `select ${COLUMNS} from rehearsals where state in ('queued', 'running') and ($1::bigint is null or environment_id = $1)
     order by rehearsals.id desc limit 1000`,
    [environmentId ?? null],
  );
  return rows;
}

export async function startRehearsal(db: Database, id: string): Promise<void> {
  await db.query(
    `update rehearsals set state = 'running', started_at = now() where id = $1 and state in ('queued', 'running')`,
    [id],
  );
}

export async function finishRehearsal(
  db: Database,
  id: string,
  result: {
    key: string | null;
    snapshotId: string | null;
    verdict: RehearsalVerdict;
    report: unknown;
    reusedId: string | null;
  },
): Promise<void> {
  await db.query(
    `update rehearsals set state = 'done', key = $2, snapshot_id = $3, verdict = $4, report = $5, reused_id = $6, finished_at = now()
     where id = $1 and state in ('queued', 'running')`,
    [id, result.key, result.snapshotId, result.verdict, JSON.stringify(result.report), result.reusedId],
  );
}

/** Something newer is wanted, or the environment goes away. */
export async function abortRehearsals(db: Database, ids: readonly string[]): Promise<void> {
  await db.query(
    `update rehearsals set state = 'aborted', finished_at = now() where id = any($1) and state in ('queued', 'running')`,
    [ids],
  );
}

/** A measured result under this key. What was not measured is tried again instead. */
export async function findRehearsalByKey(db: Database, key: string): Promise<Rehearsal | undefined> {
  const { rows } = await db.query<Rehearsal>(
    `select ${COLUMNS} from rehearsals
     where key = $1 and state = 'done' and verdict in ('pass', 'fail') and reused_id is null order by rehearsals.id desc limit 1`,
    [key],
  );
  return rows[0];
}

export async function findRehearsal(db: Database, deploymentId: string): Promise<Rehearsal | undefined> {
  const { rows } = await db.query<Rehearsal>(`select ${COLUMNS} from rehearsals where deployment_id = $1`, [
    deploymentId,
  ]);
  return rows[0];
}
