import { createTestDatabase, type TestDatabase } from '@bough/testkit/test-database';
import type pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { revokeLinks } from '../src/access-links.ts';
import { createPool } from '../src/database.ts';
import { writeDesired } from '../src/environments.ts';
import {
  findProject,
  findProjectByFullName,
  findProjectByRepository,
  findProjectBySlug,
  insertProject,
  listProjects,
  type NewProject,
  removeProject,
  writeIntake,
  writeRepository,
} from '../src/projects.ts';
import { listRoutes, replaceRoutes } from '../src/routes.ts';
import { examplePreview } from './example-rows.ts';

let database: TestDatabase;
let pool: pg.Pool;

beforeAll(async () => {
  database = await createTestDatabase();
  pool = createPool({ url: database.url, max: 4, applicationName: 'test' });
});

afterAll(async () => {
  await pool.end();
  await database.drop();
});

const shop: NewProject = {
  installationId: 'i1',
  forge: 'github',
  forgeHost: 'github.com',
  repositoryId: 9_007_199_254_740_991,
  owner: 'Acme',
  name: 'Shop',
  slug: 'shop',
  defaultBranch: 'main',
  production: 'external',
  intake: 'webhook',
};

test('a project is found by everything that names it, and its entropy does not print', async () => {
  const project = await insertProject(pool, shop);
  expect(project.repositoryId).toBe(9_007_199_254_740_991);
  expect(JSON.stringify(project)).toContain('[redacted]');
  expect(project.entropy.reveal()).toHaveLength(43);
  const { entropy, ...facts } = project;
  for (const found of [
    await findProject(pool, project.id),
    await findProjectBySlug(pool, 'shop'),
    await findProjectByFullName(pool, { owner: 'acme', name: 'SHOP' }),
    await findProjectByRepository(pool, { forgeHost: 'github.com', repositoryId: shop.repositoryId }),
  ]) {
    expect(found).toMatchObject(facts);
    expect(found?.entropy.reveal()).toBe(entropy.reveal());
  }
  expect(await findProjectByFullName(pool, { owner: 'acme', name: 'other' })).toBeUndefined();
  expect(await findProjectByRepository(pool, { forgeHost: 'ghe.test', repositoryId: 1 })).toBeUndefined();
});

test('added again after a rename it is the same project, with its slug and its entropy', async () => {
  const before = await insertProject(pool, shop);
  const again = await insertProject(pool, { ...shop, name: 'Store', slug: 'store', production: 'managed' });
  expect(again).toMatchObject({ id: before.id, slug: 'shop', name: 'Store', production: 'managed' });
  expect(again.entropy.reveal()).toBe(before.entropy.reveal());
});

test('a slug that another project has gets the repository id added', async () => {
  const other = await insertProject(pool, { ...shop, repositoryId: 7, owner: 'Other' });
  expect(other.slug).toBe('shop-7');
  expect((await insertProject(pool, { ...shop, repositoryId: 7, owner: 'Other' })).slug).toBe('shop-7');
});

test('what the forge says is written when it differs', async () => {
  const { id } = await insertProject(pool, { ...shop, repositoryId: 8, slug: 'eight' });
  const renamed = { owner: 'Acme', name: 'Eight', defaultBranch: 'trunk', private: true };
  expect(await writeRepository(pool, id, renamed)).toBe(true);
  expect(await writeRepository(pool, id, renamed)).toBe(false);
  await writeIntake(pool, id, { intake: 'app', webhookId: '12', forgeInstallationId: 34 });
  const expected = { ...renamed, intake: 'app', webhookId: '12', forgeInstallationId: 34 };
  expect(await findProject(pool, id)).toMatchObject(expected);
});

test('links end when a repository becomes public, and only then', async () => {
  const { id } = await insertProject(pool, { ...shop, repositoryId: 10, slug: 'ten', private: true });
  const { environment } = await writeDesired(pool, examplePreview(id, 10));
  await replaceRoutes(pool, { environmentId: environment.id, lease: '0' }, [
    {
      ...{ host: 'ten.localhost', path: '/', deploymentId: null, route: 'r', state: 'asleep', target: null },
      ...{ redirect: null, access: { kind: 'link', epoch: 0 }, indexable: false, isPrimary: true },
    },
  ]);
  const epoch = async () => (await listRoutes(pool, environment.id)).map(({ access }) => access);
  const repository = { owner: 'Acme', name: 'Ten', defaultBranch: 'main' };
  await writeRepository(pool, id, { ...repository, private: true });
  expect(await epoch()).toEqual([{ kind: 'link', epoch: 0 }]);
  await writeRepository(pool, id, { ...repository, private: false });
  expect(await epoch()).toEqual([{ kind: 'link', epoch: 1 }]);
  await writeRepository(pool, id, { ...repository, private: true });
  expect(await epoch()).toEqual([{ kind: 'link', epoch: 1 }]);
  await revokeLinks(pool, environment.id);
  expect(await epoch()).toEqual([{ kind: 'link', epoch: 2 }]);
});

test('a removed project is listed no more, and can come back', async () => {
  const { id } = await insertProject(pool, { ...shop, repositoryId: 9, slug: 'nine' });
  expect(await removeProject(pool, id)).toBe(true);
  expect(await removeProject(pool, id)).toBe(false);
  expect((await listProjects(pool)).map((project) => project.id)).not.toContain(id);
  await insertProject(pool, { ...shop, repositoryId: 9, slug: 'nine' });
  expect((await listProjects(pool)).map((project) => project.id)).toContain(id);
});
