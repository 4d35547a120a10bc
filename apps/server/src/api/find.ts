import type { Environment } from '@bough/domain/environment';
import type { Database } from '@bough/store/database';
import { type Deployment, findDeployment } from '@bough/store/deployments';
import { findEnvironment, findEnvironmentBySlug } from '@bough/store/environments';
import { findProject, findProjectBySlug, type Project } from '@bough/store/projects';
import { notFound } from '../problem.ts';

/** Ids above this are no bigint, and asking Postgres for one would be an error instead of an absence. */
const isId = (text: string): boolean => /^\d{1,18}$/.test(text);

/** By slug, else by id. */
export async function requireProject(db: Database, key: string): Promise<Project> {
  const found = (await findProjectBySlug(db, key)) ?? (isId(key) ? await findProject(db, key) : undefined);
  if (found) return found;
  throw notFound(`project "${key}"`, 'List them with GET /api/v1/projects or `bough project list`.');
}

/** By slug, else by id. */
export async function requireEnvironment(db: Database, key: string): Promise<Environment> {
  const found =
    (await findEnvironmentBySlug(db, key)) ?? (isId(key) ? await findEnvironment(db, key) : undefined);
  if (found) return found;
  throw notFound(`environment "${key}"`, 'List them with GET /api/v1/environments or `bough env list`.');
}

export async function requireDeployment(db: Database, id: string): Promise<Deployment> {
  const found = isId(id) ? await findDeployment(db, id) : undefined;
  if (found) return found;
  throw notFound(
    `deployment ${id}`,
    'GET /api/v1/environments/:slug/deployments lists those of an environment.',
  );
}
