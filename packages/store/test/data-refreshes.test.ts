import { createTestDatabase, type TestDatabase } from '@bough/testkit/test-database';
import type pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  askForRefresh,
  findDataRefresh,
  listDueRefreshes,
  noteRefresh,
  readDataRefresh,
  scheduleRefresh,
  settleRefresh,
  startRefresh,
} from '../src/data-refreshes.ts';
import { createPool } from '../src/database.ts';
import { insertProject } from '../src/projects.ts';

let database: TestDatabase;
let pool: pg.Pool;
let projectId: string;

beforeAll(async () => {
  database = await createTestDatabase();
  pool = createPool({ url: database.url, max: 2, applicationName: 'test' });
  ({ id: projectId } = await insertProject(pool, {
    ...{ installationId: 'i1', forge: 'github', forgeHost: 'github.com', repositoryId: 1 },
    ...{ owner: 'acme', name: 'shop', slug: 'shop', defaultBranch: 'main' },
    ...{ production: 'external', intake: 'webhook' },
  }));
});

afterAll(async () => {
  await pool.end();
  await database.drop();
});

test('what is asked for during an attempt is still due when that has ended', async () => {
  expect(await findDataRefresh(pool, projectId)).toBeUndefined();
  expect(await readDataRefresh(pool, projectId)).toMatchObject({ askedAt: null, note: null });
  expect(await listDueRefreshes(pool)).toEqual([]);

  await askForRefresh(pool, { projectId, askedBy: 'ada' });
  expect(await listDueRefreshes(pool)).toEqual([projectId]);
  const first = await startRefresh(pool, projectId);
  await noteRefresh(pool, projectId, 'users: 10 of 20 rows');
  expect(await findDataRefresh(pool, projectId)).toMatchObject({ progress: 'users: 10 of 20 rows' });
  // A crash here leaves it due.
  expect(await listDueRefreshes(pool)).toEqual([projectId]);
  await askForRefresh(pool, { projectId, askedBy: 'ben' });
  await settleRefresh(pool, {
    ...{ projectId, startedAt: first, policyDigest: 'a', schemaDigest: null, dueAt: null },
    note: 'refused',
  });
  expect(await listDueRefreshes(pool)).toEqual([projectId]);
  expect(await findDataRefresh(pool, projectId)).toMatchObject({
    ...{ askedBy: 'ben', attemptedAt: first, startedAt: null, progress: null, note: 'refused' },
  });

  const second = await startRefresh(pool, projectId);
  await settleRefresh(pool, {
    ...{ projectId, startedAt: second, policyDigest: 'a', schemaDigest: null, note: null, dueAt: null },
  });
  expect(await listDueRefreshes(pool)).toEqual([]);
  expect(await findDataRefresh(pool, projectId)).toMatchObject({ note: null });
});

test('a schedule is due when its time has come', async () => {
  await scheduleRefresh(pool, { projectId, dueAt: new Date(Date.now() + 3_600_000), schemaDigest: 'first' });
  expect(await listDueRefreshes(pool)).toEqual([]);
  await scheduleRefresh(pool, { projectId, dueAt: new Date(Date.now() - 1_000), schemaDigest: 'second' });
  expect(await listDueRefreshes(pool)).toEqual([projectId]);
  // What later ones are compared with: only an attempt replaces it.
  expect(await findDataRefresh(pool, projectId)).toMatchObject({ schemaDigest: 'first' });
});
