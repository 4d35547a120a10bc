import { createTestDatabase, type TestDatabase } from '@bough/testkit/test-database';
import type pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createPool } from '../src/database.ts';
import {
  type DesiredRow,
  type Fence,
  findEnvironment,
  findEnvironmentBySlug,
  findLastEnvironment,
  findLivingEnvironment,
  listEnvironments,
  listUnsettledEnvironments,
  takeLease,
  writeAbsent,
  writeData,
  writeDesired,
  writeFailure,
  writeRelease,
  writeRemoved,
  writeRunningStep,
  writeSettled,
  writeWaiting,
} from '../src/environments.ts';
import { insertProject } from '../src/projects.ts';
import { examplePreview, exampleProject } from './example-rows.ts';

const COMMIT = 'a'.repeat(40);
const NEWER = 'b'.repeat(40);

let database: TestDatabase;
let pool: pg.Pool;
let projectId: string;
let desired: DesiredRow;
let counter = 0;

beforeAll(async () => {
  database = await createTestDatabase();
  pool = createPool({ url: database.url, max: 10, applicationName: 'test' });
});

afterAll(async () => {
  await pool.end();
  await database.drop();
});

beforeEach(async () => {
  counter += 1;
  const project = await insertProject(pool, exampleProject(counter));
  projectId = project.id;
  desired = {
    ...examplePreview(projectId, counter),
    facts: { title: 'Add a cart', number: 7 },
    policyCommit: COMMIT,
  };
});

/** Takes the lease as a reconciler does. */
async function fenceOf(id: string): Promise<Fence> {
  const lease = await takeLease(pool, id);
  const row = await findEnvironment(pool, id);
  if (lease === undefined || row === undefined) throw new Error(`no environment ${id}`);
  return { environmentId: id, generation: row.generation, lease };
}

async function readBack(id: string) {
  const row = await findEnvironment(pool, id);
  if (row === undefined) throw new Error(`no environment ${id}`);
  return row;
}

describe('writeDesired', () => {
  test('the first wish makes the row, at generation 1, not yet observed', async () => {
    const { environment, changed } = await writeDesired(pool, desired);
    expect(changed).toBe(true);
    expect(environment).toMatchObject({ generation: '1', observedGeneration: '0', dataState: 'undecided' });
    expect(environment).toMatchObject({ failure: null, facts: { title: 'Add a cart', number: 7 } });
  });

  test('the same wish again is none', async () => {
    const first = await writeDesired(pool, desired);
    const second = await writeDesired(pool, desired);
    expect(second.changed).toBe(false);
    expect(second.environment).toEqual(first.environment);
  });

  test.each<[string, Partial<DesiredRow>]>([
    ['title', { facts: { title: 'Add a better cart', number: 7 } }],
    ['policy commit', { policyCommit: NEWER }],
    ['slug of a renamed project', { slug: 'pr-7--renamed' }],
  ])('a new %s alone never restarts a deployment', async (_, change) => {
    const { environment: before } = await writeDesired(pool, desired);
    const { environment, changed } = await writeDesired(pool, { ...desired, ...change });
    expect(changed).toBe(false);
    expect(environment.generation).toBe(before.generation);
    expect(environment.changedAt).toEqual(before.changedAt);
    expect(environment.slug).toBe(before.slug);
    expect(environment.facts).toEqual(change.facts ?? before.facts);
    expect(environment.policyCommit).toBe(change.policyCommit ?? before.policyCommit);
  });

  test.each<[string, Partial<DesiredRow>]>([
    ['commit', { desiredCommit: NEWER }],
    ['state', { desiredState: 'asleep' }],
    ['reason to hold', { heldReason: 'a fork' }],
    ['revision of the variables', { variablesRevision: '1' }],
    ['request', { requestId: '55' }],
  ])('a new %s raises the generation by one', async (_, change) => {
    await writeDesired(pool, desired);
    const { environment, changed } = await writeDesired(pool, { ...desired, ...change });
    expect(changed).toBe(true);
    expect(environment).toMatchObject({ generation: '2', ...change });
    expect((await writeDesired(pool, { ...desired, ...change })).changed).toBe(false);
  });

  test('a request is answered once: without one afterwards nothing rises', async () => {
    await writeDesired(pool, { ...desired, requestId: '55' });
    const { environment, changed } = await writeDesired(pool, desired);
    expect(changed).toBe(false);
    expect(environment).toMatchObject({ generation: '1', requestId: '55' });
    expect((await writeDesired(pool, { ...desired, requestId: '56' })).changed).toBe(true);
  });

  test('a new commit forgets the retries of the old one, the same commit keeps them', async () => {
    const { environment } = await writeDesired(pool, desired);
    const retryAt = new Date(Date.now() + 60_000);
    const failure = { code: 'x', message: 'm', hint: null, tail: [] };
    await writeFailure(pool, await fenceOf(environment.id), failure, retryAt);
    expect((await writeDesired(pool, desired)).environment).toMatchObject({ failures: 1, retryAt });
    const newer = await writeDesired(pool, { ...desired, desiredCommit: NEWER });
    expect(newer.environment).toMatchObject({ failures: 0, retryAt: null });
  });

  test('a redeploy is tried at once and is not shown as failed before it was', async () => {
    const { environment } = await writeDesired(pool, desired);
    await takeLease(pool, environment.id);
    const failure = { code: 'build-failed', message: 'The build hook failed.', hint: null, tail: ['oh'] };
    await writeFailure(pool, await fenceOf(environment.id), failure, new Date(Date.now() + 60_000));
    const again = await writeDesired(pool, { ...desired, requestId: '5' });
    expect(again.environment).toMatchObject({ failure: null, failures: 0, retryAt: null });
  });

  test('a slower observer does not put an older request in place of a newer one', async () => {
    await writeDesired(pool, { ...desired, requestId: '6' });
    const late = await writeDesired(pool, { ...desired, requestId: '5' });
    expect(late).toMatchObject({ changed: false, environment: { requestId: '6', generation: '1' } });
  });

  test('many observers of one subject at once make one row', async () => {
    const written = await Promise.all(Array.from({ length: 10 }, () => writeDesired(pool, desired)));
    expect(new Set(written.map(({ environment }) => environment.id)).size).toBe(1);
    expect(new Set(written.map(({ environment }) => environment.generation))).toEqual(new Set(['1']));
    const rows = await listEnvironments(pool, { projectId });
    expect(rows).toHaveLength(1);
  });

  test('many observers of different commits at once: every change counts, none is lost', async () => {
    await writeDesired(pool, desired);
    const commits = Array.from({ length: 8 }, (_, index) => String(index).repeat(40));
    await Promise.all(commits.map((desiredCommit) => writeDesired(pool, { ...desired, desiredCommit })));
    const row = await findLivingEnvironment(pool, { projectId, subject: 'pull/7' });
    expect(row?.generation).toBe('9');
    expect(commits).toContain(row?.desiredCommit);
  });
});

describe('removal', () => {
  test('asked for once, raises the generation once', async () => {
    await writeDesired(pool, desired);
    const first = await writeAbsent(pool, desired);
    expect(first).toMatchObject({ changed: true, environment: { desiredState: 'absent', generation: '2' } });
    const second = await writeAbsent(pool, desired);
    expect(second).toMatchObject({ changed: false, environment: { generation: '2' } });
    expect(await writeAbsent(pool, { projectId, subject: 'pull/8' })).toBeUndefined();
  });

  test('frees the slug; a reopened pull request gets a row of its own', async () => {
    const { environment: old } = await writeDesired(pool, desired);
    await writeAbsent(pool, desired);
    expect(await writeRemoved(pool, await fenceOf(old.id))).toBe(true);
    const { environment, changed } = await writeDesired(pool, desired);
    expect(changed).toBe(true);
    expect(environment.id).not.toBe(old.id);
    expect(environment).toMatchObject({ slug: old.slug, generation: '1', removedAt: null });
    expect((await findEnvironmentBySlug(pool, old.slug))?.id).toBe(environment.id);
    expect((await findLastEnvironment(pool, desired))?.id).toBe(environment.id);
    expect((await listEnvironments(pool, { projectId })).map((row) => row.id)).toEqual([environment.id]);
    expect(await listEnvironments(pool, { projectId, includeRemoved: true })).toHaveLength(2);
    expect(await takeLease(pool, old.id)).toBeUndefined();
  });
});

const failure = { code: 'x', message: 'm', hint: 'h', tail: ['last line'] };
const writes: [string, (fence: Fence) => Promise<boolean>][] = [
  ['writeRunningStep', (fence) => writeRunningStep(pool, fence, 'build')],
  ['writeWaiting', (fence) => writeWaiting(pool, fence, { reason: 'a build slot', position: 2 })],
  ['writeSettled', (fence) => writeSettled(pool, fence, { deploymentId: '1' })],
  ['writeRelease', (fence) => writeRelease(pool, fence, '1')],
  ['writeFailure', (fence) => writeFailure(pool, fence, failure, null)],
  ['writeData', (fence) => writeData(pool, fence, { state: 'empty', snapshotId: null, note: 'none' })],
  ['writeRemoved', (fence) => writeRemoved(pool, fence)],
];

describe.each(writes)('%s', (_, write) => {
  test('writes at its fence', async () => {
    const { environment } = await writeDesired(pool, desired);
    expect(await write(await fenceOf(environment.id))).toBe(true);
    const { lease: _lease, ...after } = await readBack(environment.id);
    const { lease: _before, ...before } = environment;
    expect(after).not.toEqual(before);
  });

  test('writes nothing at a stale lease', async () => {
    const { environment } = await writeDesired(pool, desired);
    const stale = await fenceOf(environment.id);
    await takeLease(pool, environment.id);
    const before = await readBack(environment.id);
    expect(await write(stale)).toBe(false);
    expect(await readBack(environment.id)).toEqual(before);
  });

  test('writes nothing at a stale generation', async () => {
    const { environment } = await writeDesired(pool, desired);
    const stale = await fenceOf(environment.id);
    await writeDesired(pool, { ...desired, desiredCommit: NEWER });
    const before = await readBack(environment.id);
    expect(await write(stale)).toBe(false);
    expect(await readBack(environment.id)).toEqual(before);
  });
});

describe('failures', () => {
  test('one that cannot be helped counts as observed and is not tried again', async () => {
    const { environment } = await writeDesired(pool, desired);
    await writeFailure(pool, await fenceOf(environment.id), failure, null);
    const row = await readBack(environment.id);
    expect(row).toMatchObject({ failure, failures: 1, observedGeneration: '1', retryAt: null });
    expect(await listUnsettledEnvironments(pool)).not.toContain(environment.id);
  });

  test('one that is tried again stays unobserved, and is due only then', async () => {
    const { environment } = await writeDesired(pool, desired);
    const fence = await fenceOf(environment.id);
    await writeFailure(pool, fence, failure, new Date(Date.now() + 60_000));
    expect((await readBack(environment.id)).observedGeneration).toBe('0');
    expect(await listUnsettledEnvironments(pool)).not.toContain(environment.id);
    await writeFailure(pool, fence, failure, new Date(Date.now() - 1_000));
    expect((await readBack(environment.id)).failures).toBe(2);
    expect(await listUnsettledEnvironments(pool)).toContain(environment.id);
  });

  test('settling forgets them', async () => {
    const { environment } = await writeDesired(pool, desired);
    const fence = await fenceOf(environment.id);
    await writeFailure(pool, fence, failure, new Date(0));
    await writeSettled(pool, fence, { deploymentId: null });
    const row = await readBack(environment.id);
    expect(row).toMatchObject({ failure: null, failures: 0, retryAt: null, observedGeneration: '1' });
  });

  test('settling without a deployment keeps the release that serves', async () => {
    const { environment } = await writeDesired(pool, desired);
    const fence = await fenceOf(environment.id);
    await writeRelease(pool, fence, '41');
    await writeSettled(pool, fence, { deploymentId: null });
    expect((await readBack(environment.id)).releaseDeploymentId).toBe('41');
  });
});
