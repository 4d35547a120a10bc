import type { BudgetKind } from '@bough/domain/budget';
import type { Database } from './database.ts';

export interface BudgetRow {
  readonly kind: BudgetKind;
  readonly budgetBytes: number;
  readonly usedBytes: number;
  readonly pinnedBytes: number;
  readonly items: number;
  readonly measuredAt: Date;
  /** Ever. */
  readonly prunedItems: number;
  readonly prunedBytes: number;
  readonly prunedAt: Date | null;
  readonly failure: string | null;
}

export async function listBudgets(db: Database): Promise<BudgetRow[]> {
  const { rows } = await db.query<BudgetRow>(
    `select kind, budget_bytes::float8 as "budgetBytes", used_bytes::float8 as "usedBytes", pinned_bytes::float8 as "pinnedBytes",
       items, measured_at as "measuredAt", pruned_items::float8 as "prunedItems", pruned_bytes::float8 as "prunedBytes",
       pruned_at as "prunedAt", failure
     from budgets order by kind`,
  );
  return rows;
}

/** What was measured, and what was pruned of it just now. */
export async function recordBudget(
  db: Database,
  measured: Pick<BudgetRow, 'kind' | 'budgetBytes' | 'usedBytes' | 'pinnedBytes' | 'items' | 'failure'> & {
    prunedItems: number;
    prunedBytes: number;
  },
): Promise<void> {
  await db.query(
    `insert into budgets as b (kind, budget_bytes, used_bytes, pinned_bytes, items, failure, pruned_items, pruned_bytes, pruned_at)
     values ($1, $2, $3, $4, $5, $6, $7::bigint, $8::bigint, case when $7::bigint > 0 then now() end)
     on conflict (kind) do update set budget_bytes = $2, used_bytes = $3, pinned_bytes = $4, items = $5, failure = $6,
       measured_at = now(), pruned_items = b.pruned_items + $7::bigint, pruned_bytes = b.pruned_bytes + $8::bigint,
       pruned_at = coalesce(excluded.pruned_at, b.pruned_at)`,
    [
      measured.kind,
      Math.round(measured.budgetBytes),
      Math.round(measured.usedBytes),
      Math.round(measured.pinnedBytes),
      measured.items,
      measured.failure,
      measured.prunedItems,
      Math.round(measured.prunedBytes),
    ],
  );
}

/** Deployments whose artifacts, logs and commits somebody may need any moment: those that serve, run or are shown. */
const NEEDED = `select d.id, d.commit, d.environment_id from deployments d join environments e on e.id = d.environment_id
  where e.removed_at is null and (d.id = e.release_deployment_id or d.state = 'running'
    or d.id = (select max(newest.id) from deployments newest where newest.environment_id = e.id))`;

export async function listNeededDeployments(db: Database): Promise<string[]> {
  const { rows } = await db.query<{ id: string }>(`select id::text from (${NEEDED}) needed`);
  return rows.map(({ id }) => id);
}

export interface KeptArtifact {
  readonly key: string;
  readonly sizeBytes: number;
  readonly lastUsedAt: Date;
  readonly isNeeded: boolean;
}

export async function listKeptArtifacts(db: Database): Promise<KeptArtifact[]> {
  const { rows } = await db.query<KeptArtifact>(
    `select a.key, a.size_bytes::float8 as "sizeBytes", a.last_used_at as "lastUsedAt",
       exists (select from deployment_artifacts u where u.key = a.key and u.deployment_id in (select id from (${NEEDED}) needed)) as "isNeeded"
     from artifacts a order by a.last_used_at limit 10000`,
  );
  return rows;
}

/** Project → commits that its environments are at, are to be at, or had in the last day, and those of policies. */
export async function listNeededCommits(db: Database): Promise<Map<string, Set<string>>> {
  const { rows } = await db.query<{ projectId: string; commits: (string | null)[] }>(
    `select p.id::text as "projectId",
       array(
         select unnest(array[e.desired_commit, e.policy_commit]) from environments e where e.project_id = p.id and e.removed_at is null
         union select d.commit from deployments d join environments e on e.id = d.environment_id
           where e.project_id = p.id and (d.id in (select id from (${NEEDED}) needed) or d.started_at > now() - interval '1 day')
         union select s.policy_commit from snapshots s where s.project_id = p.id and s.state <> 'removed'
         union select s.source_commit from snapshots s where s.project_id = p.id and s.state <> 'removed') as commits
     from projects p where p.state = 'active'`,
  );
  return new Map(
    rows.map(({ projectId, commits }) => [
      projectId,
      new Set(commits.filter((commit): commit is string => commit !== null)),
    ]),
  );
}
