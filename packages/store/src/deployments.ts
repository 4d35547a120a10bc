import type { Environment } from '@bough/domain/environment';
import type { Database } from './database.ts';
import { Interrupted } from './environment-lock.ts';
import type { Fence } from './environments.ts';
import { HELD, refuseUnheld } from './held-lease.ts';

export interface Deployment {
  readonly id: string;
  readonly environmentId: string;
  readonly generation: string;
  readonly commit: string;
  readonly state: 'running' | 'ready' | 'failed' | 'superseded' | 'cancelled';
  readonly fingerprint: string | null;
  readonly failureCode: string | null;
  readonly failureMessage: string | null;
  readonly failureHint: string | null;
  readonly failureTail: readonly string[];
  readonly failureAnnotations: readonly Annotation[];
  readonly startedAt: Date;
  readonly finishedAt: Date | null;
}

/** A problem at a line of a file of the repository. */
export interface Annotation {
  readonly path: string;
  readonly line: number;
  readonly column: number;
  readonly message: string;
}

const COLUMNS = `id::text, environment_id::text as "environmentId", generation::text, commit, state, fingerprint,
  failure_code as "failureCode", failure_message as "failureMessage", failure_hint as "failureHint", failure_tail as "failureTail",
  failure_annotations as "failureAnnotations", started_at as "startedAt", finished_at as "finishedAt"`;

const AT_FENCE = 'id = $1 and generation = $2 and lease = $4';

/**
 * The deployment of this generation: the one that a crashed worker left running, else a new one. Whatever else was
 * running is superseded; the unique index on running deployments holds us to it. Throws Interrupted, and changes nothing,
 * when the fence has fallen.
 */
export async function openDeployment(db: Database, fence: Fence, commit: string): Promise<Deployment> {
  await db.query(
    `with superseded as (
       update deployments set state = 'superseded', finished_at = now()
       where environment_id = $1 and state = 'running' and (generation <> $2 or commit <> $3)
         and exists (select from environments where ${AT_FENCE})
       returning id
     )
     update steps set state = 'aborted', finished_at = now()
     where state = 'running' and deployment_id in (select id from superseded)`,
    [fence.environmentId, fence.generation, commit, fence.lease],
  );
  const { rows } = await db.query<Deployment>(
    `insert into deployments (environment_id, generation, commit)
     select $1, $2, $3 from environments where ${AT_FENCE}
     on conflict (environment_id) where state = 'running' do update set commit = excluded.commit
     returning ${COLUMNS}`,
    [fence.environmentId, fence.generation, commit, fence.lease],
  );
  const [opened] = rows;
  if (opened === undefined) throw new Interrupted('superseded');
  return opened;
}

/** Throws Interrupted, and changes nothing, when the lease is another's. */
export async function writePlan(
  db: Database,
  fence: Fence,
  id: string,
  plan: { fingerprint: string; plan: unknown },
): Promise<void> {
  const { rows } = await db.query<{ held: boolean }>(
    `with ${HELD}, written as (
       update deployments set fingerprint = $4, plan = $5 where id = $3 and environment_id in (select id from held)
     )
     select exists (select from held) as held`,
    [fence.environmentId, fence.lease, id, plan.fingerprint, JSON.stringify(plan.plan)],
  );
  refuseUnheld(rows);
}

export async function readPlan(db: Database, id: string): Promise<unknown> {
  const { rows } = await db.query<{ plan: unknown }>('select plan from deployments where id = $1', [id]);
  return rows[0]?.plan ?? undefined;
}

/**
 * By whoever has the lease, also when something newer is wanted by now: that is when it is closed as superseded. Throws
 * Interrupted, and changes nothing, when the lease is another's, who goes on with the same deployment.
 */
export async function closeDeployment(
  db: Database,
  fence: Fence,
  id: string,
  end: {
    state: 'ready' | 'failed' | 'superseded' | 'cancelled';
    failure?: {
      code: string;
      message: string;
      hint: string | null;
      tail: readonly string[];
      annotations?: readonly Annotation[];
    };
  },
): Promise<void> {
  // One statement: a crash in between would leave steps that run for ever.
  const { rows } = await db.query<{ held: boolean }>(
    `with ${HELD}, closed as (
       update deployments set state = $4, finished_at = now(), failure_code = $5, failure_message = $6, failure_hint = $7,
         failure_tail = $8, failure_annotations = $9
       where id = $3 and state = 'running' and environment_id in (select id from held)
     ), aborted as (
       update steps set state = 'aborted', finished_at = now()
       where deployment_id = $3 and state = 'running' and exists (select from held)
     )
     select exists (select from held) as held`,
    [
      fence.environmentId,
      fence.lease,
      id,
      end.state,
      end.failure?.code ?? null,
      end.failure?.message ?? null,
      end.failure?.hint ?? null,
      end.failure?.tail ?? [],
      JSON.stringify(end.failure?.annotations ?? []),
    ],
  );
  refuseUnheld(rows);
}

/** Closes whatever runs for an environment that is going away. Throws Interrupted when the lease is another's. */
export async function cancelDeployments(db: Database, fence: Fence): Promise<void> {
  const { rows } = await db.query<{ held: boolean }>(
    `with ${HELD}, closed as (
       update deployments set state = 'cancelled', finished_at = now()
       where environment_id in (select id from held) and state = 'running' returning id
     ), aborted as (
       update steps set state = 'aborted', finished_at = now()
       where state = 'running' and deployment_id in (select id from closed)
     )
     select exists (select from held) as held`,
    [fence.environmentId, fence.lease],
  );
  refuseUnheld(rows);
}

export async function findDeployment(db: Database, id: string): Promise<Deployment | undefined> {
  const { rows } = await db.query<Deployment>(`select ${COLUMNS} from deployments where id = $1`, [id]);
  return rows[0];
}

/** The newest deployment that was verified: what an environment falls back to. */
export async function findReadyDeployment(
  db: Database,
  environmentId: string,
): Promise<Deployment | undefined> {
  const { rows } = await db.query<Deployment>(
    `select ${COLUMNS} from deployments where environment_id = $1 and state = 'ready' order by deployments.id desc limit 1`,
    [environmentId],
  );
  return rows[0];
}

/** Newest first. */
export async function listDeployments(
  db: Database,
  environmentId: string,
  limit = 20,
): Promise<Deployment[]> {
  const { rows } = await db.query<Deployment>(
    `select ${COLUMNS} from deployments where environment_id = $1 order by deployments.id desc limit $2`,
    [environmentId, Math.min(limit, 200)],
  );
  return rows;
}

/** Throws Interrupted, and changes nothing, when the lease is another's. */
export async function writeDeploymentArtifact(
  db: Database,
  fence: Fence,
  use: { deploymentId: string; app: string; key: string; cached: boolean },
): Promise<void> {
  const { rows } = await db.query<{ held: boolean }>(
    `with ${HELD}, written as (
       insert into deployment_artifacts (deployment_id, app, key, cached) select $3, $4, $5, $6 from held
       on conflict (deployment_id, app) do update set key = excluded.key, cached = excluded.cached and deployment_artifacts.cached
     )
     select exists (select from held) as held`,
    [fence.environmentId, fence.lease, use.deploymentId, use.app, use.key, use.cached],
  );
  refuseUnheld(rows);
}

export async function listDeploymentArtifacts(
  db: Database,
  deploymentId: string,
): Promise<{ app: string; key: string; cached: boolean }[]> {
  const { rows } = await db.query<{ app: string; key: string; cached: boolean }>(
    'select app, key, cached from deployment_artifacts where deployment_id = $1 order by app',
    [deploymentId],
  );
  return rows;
}

/** Whether an environment of that trust ever began to deploy the commit. */
export async function wasDeployed(
  db: Database,
  of: { projectId: string; commit: string; trust: Environment['trust'] },
): Promise<boolean> {
  const { rows } = await db.query(
    `select from deployments d join environments e on e.id = d.environment_id
     where e.project_id = $1 and d.commit = $2 and e.trust = $3 limit 1`,
    [of.projectId, of.commit, of.trust],
  );
  return rows.length > 0;
}
