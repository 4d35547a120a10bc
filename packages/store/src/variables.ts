import type { Secret } from '@bough/domain/secret';
import type { Database } from './database.ts';
import type { Encryption } from './encryption.ts';

/** A variable of a project without its value: values leave the store for builds and workloads only. */
export interface Variable {
  readonly name: string;
  /** Filtered from logs, and part of an artifact's key as a keyed digest only. */
  readonly secret: boolean;
  readonly atBuild: boolean;
  readonly atRun: boolean;
  readonly forProduction: boolean;
  readonly forPreview: boolean;
  readonly updatedAt: Date;
}

export interface VariableWithValue extends Variable {
  readonly value: Secret;
}

const COLUMNS = `name, secret, at_build as "atBuild", at_run as "atRun", for_production as "forProduction", for_preview as "forPreview",
  updated_at as "updatedAt"`;

/** The project's revision rises in the same statement: environments see that they are out of date. */
export async function setVariable(
  db: Database,
  encryption: Encryption,
  variable: Omit<VariableWithValue, 'updatedAt'> & { projectId: string },
): Promise<void> {
  await db.query(
    `with bumped as (update projects set variables_revision = variables_revision + 1 where id = $1)
     insert into variables (project_id, name, value_encrypted, secret, at_build, at_run, for_production, for_preview)
     values ($1, $2, $3, $4, $5, $6, $7, $8)
     on conflict (project_id, name) do update set
       value_encrypted = excluded.value_encrypted, secret = excluded.secret, at_build = excluded.at_build, at_run = excluded.at_run,
       for_production = excluded.for_production, for_preview = excluded.for_preview, updated_at = now()`,
    [
      variable.projectId,
      variable.name,
      encryption.encrypt(variable.value, context(variable.projectId, variable.name)),
      variable.secret,
      variable.atBuild,
      variable.atRun,
      variable.forProduction,
      variable.forPreview,
    ],
  );
}

export async function listVariables(db: Database, projectId: string): Promise<Variable[]> {
  const { rows } = await db.query<Variable>(
    `select ${COLUMNS} from variables where project_id = $1 order by name`,
    [projectId],
  );
  return rows;
}

/** False when there is none of that name. */
export async function deleteVariable(
  db: Database,
  variable: { projectId: string; name: string },
): Promise<boolean> {
  const { rows } = await db.query(
    `with deleted as (delete from variables where project_id = $1 and name = $2 returning project_id)
     update projects set variables_revision = variables_revision + 1 from deleted where id = deleted.project_id returning 1`,
    [variable.projectId, variable.name],
  );
  return rows.length === 1;
}

/** What a build or a workload of an environment of this kind gets. A preview gets only what was set for previews. */
export async function readVariables(
  db: Database,
  encryption: Encryption,
  of: { projectId: string; at: 'build' | 'run'; kind: 'production' | 'preview' },
): Promise<VariableWithValue[]> {
  const { rows } = await db.query<Variable & { valueEncrypted: Buffer }>(
    `select ${COLUMNS}, value_encrypted as "valueEncrypted" from variables
     where project_id = $1 and case $2 when 'build' then at_build else at_run end
       and case $3 when 'production' then for_production else for_preview end
     order by name`,
    [of.projectId, of.at, of.kind],
  );
  return rows.map(({ valueEncrypted, ...variable }) => ({
    ...variable,
    value: encryption.decrypt(valueEncrypted, context(of.projectId, variable.name)),
  }));
}

const context = (projectId: string, name: string): string => `variable:${projectId}:${name}`;
