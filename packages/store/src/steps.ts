import type { Database } from './database.ts';
import type { Fence } from './environments.ts';
import { HELD, refuseUnheld } from './held-lease.ts';

export interface Step {
  readonly deploymentId: string;
  readonly ordinal: number;
  readonly name: string;
  readonly state: 'running' | 'done' | 'cached' | 'skipped' | 'failed' | 'aborted';
  readonly note: string | null;
  readonly startedAt: Date;
  readonly finishedAt: Date | null;
}

/** Starts a step, or starts it again after a crash. Like the next two, throws Interrupted when the lease is another's. */
export async function startStep(
  db: Database,
  fence: Fence,
  step: { deploymentId: string; ordinal: number; name: string },
): Promise<void> {
  const { rows } = await db.query<{ held: boolean }>(
    `with ${HELD}, started as (
       insert into steps (deployment_id, ordinal, name) select $3, $4, $5 from held
       on conflict (deployment_id, name) do update set state = 'running', started_at = now(), finished_at = null, note = null
     )
     select exists (select from held) as held`,
    [fence.environmentId, fence.lease, step.deploymentId, step.ordinal, step.name],
  );
  refuseUnheld(rows);
}

export async function finishStep(
  db: Database,
  fence: Fence,
  step: {
    deploymentId: string;
    name: string;
    state: 'done' | 'cached' | 'skipped' | 'failed' | 'aborted';
    note?: string | null;
  },
): Promise<void> {
  const { rows } = await db.query<{ held: boolean }>(
    `with ${HELD}, finished as (
       update steps set state = $5, note = $6, finished_at = now()
       where deployment_id = $3 and name = $4 and exists (select from held)
     )
     select exists (select from held) as held`,
    [fence.environmentId, fence.lease, step.deploymentId, step.name, step.state, step.note ?? null],
  );
  refuseUnheld(rows);
}

/** What a running step is at just now: shown as progress. */
export async function noteStep(
  db: Database,
  fence: Fence,
  step: { deploymentId: string; name: string; note: string },
): Promise<void> {
  const { rows } = await db.query<{ held: boolean }>(
    `with ${HELD}, noted as (
       update steps set note = $5
       where deployment_id = $3 and name = $4 and state = 'running' and exists (select from held)
     )
     select exists (select from held) as held`,
    [fence.environmentId, fence.lease, step.deploymentId, step.name, step.note],
  );
  refuseUnheld(rows);
}

export async function listSteps(db: Database, deploymentId: string): Promise<Step[]> {
  const { rows } = await db.query<Step>(
    `select deployment_id::text as "deploymentId", ordinal, name, state, note, started_at as "startedAt", finished_at as "finishedAt"
     from steps where deployment_id = $1 order by ordinal, id`,
    [deploymentId],
  );
  return rows;
}
