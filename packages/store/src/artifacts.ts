import type { Database } from './database.ts';

export interface ArtifactRow {
  readonly key: string;
  readonly app: string;
  readonly commit: string;
  readonly sizeBytes: string;
  readonly buildMs: string;
  readonly builtFor: string;
  readonly builtAt: Date;
}

/** Remembers a build, or that an artifact was used again. */
export async function recordArtifact(
  db: Database,
  artifact: {
    key: string;
    projectId: string;
    app: string;
    treeId: string;
    commit: string;
    sizeBytes: number;
    buildMs: number;
    builtFor: string;
  },
): Promise<void> {
  await db.query(
    `insert into artifacts (key, project_id, app, tree_id, commit, size_bytes, build_ms, built_for)
     values ($1, $2, $3, $4, $5, $6, $7, $8)
     on conflict (key) do update set last_used_at = now()`,
    [
      artifact.key,
      artifact.projectId,
      artifact.app,
      artifact.treeId,
      artifact.commit,
      Math.round(artifact.sizeBytes),
      Math.round(artifact.buildMs),
      artifact.builtFor,
    ],
  );
}

export async function findArtifact(db: Database, key: string): Promise<ArtifactRow | undefined> {
  const { rows } = await db.query<ArtifactRow>(
    `select key, app, commit, size_bytes::text as "sizeBytes", build_ms::text as "buildMs", built_for as "builtFor", built_at as "builtAt"
     from artifacts where key = $1`,
    [key],
  );
  return rows[0];
}

/** Keys that no deployment of a living environment names and that were not used for the given days; at most 500. */
export async function listStaleArtifacts(db: Database, unusedDays: number): Promise<string[]> {
  const { rows } = await db.query<{ key: string }>(
    `select a.key from artifacts a
     where a.last_used_at < now() - make_interval(days => $1)
       and not exists (
         select 1 from deployment_artifacts u
         join environments e on e.release_deployment_id = u.deployment_id and e.removed_at is null
         where u.key = a.key)
     order by a.last_used_at limit 500`,
    [unusedDays],
  );
  return rows.map((row) => row.key);
}

export async function forgetArtifact(db: Database, key: string): Promise<void> {
  await db.query('delete from artifacts where key = $1', [key]);
}
