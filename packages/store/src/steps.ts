import type { Database } from './database.ts';

export interface Step {
  readonly deploymentId: string;
  readonly ordinal: number;
  readonly name: string;
  readonly state: 'running' | 'done' | 'cached' | 'skipped' | 'failed' | 'aborted';
  readonly note: string | null;
  readonly startedAt: Date;
  readonly finishedAt: Date | null;
}

/** Starts a step, or starts it again after a crash. */
export async function startStep(
  db: Database,
  step: { deploymentId: string; ordinal: number; name: string },
): Promise<void> {
  await db.query(
    `insert into steps (deployment_id, ordinal, name) values ($1, $2, $3)
     on conflict (deployment_id, name) do update set state = 'running', started_at = now(), finished_at = null, note = null`,
    [step.deploymentId, step.ordinal, step.name],
  );
}

export async function finishStep(
  db: Database,
  step: {
    deploymentId: string;
    name: string;
    state: 'done' | 'cached' | 'skipped' | 'failed' | 'aborted';
    note?: string | null;
  },
): Promise<void> {
  await db.query(
    'update steps set state = $3, note = $4, finished_at = now() where deployment_id = $1 and name = $2',
    [step.deploymentId, step.name, step.state, step.note ?? null],
  );
}

/** What a running step is at just now: shown as progress. */
export async function noteStep(
  db: Database,
  step: { deploymentId: string; name: string; note: string },
): Promise<void> {
  await db.query(`update steps set note = $3 where deployment_id = $1 and name = $2 and state = 'running'`, [
    step.deploymentId,
    step.name,
    step.note,
  ]);
}

export async function listSteps(db: Database, deploymentId: string): Promise<Step[]> {
  const { rows } = await db.query<Step>(
    `select deployment_id::text as "deploymentId", ordinal, name, state, note, started_at as "startedAt", finished_at as "finishedAt"
     from steps where deployment_id = $1 order by ordinal, id`,
    [deploymentId],
  );
  return rows;
}
