import { createTestDatabase, type TestDatabase } from '@bough/testkit/test-database';
import type pg from 'pg';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { createPool } from '../src/database.ts';
import {
  cancelDeployments,
  closeDeployment,
  findDeployment,
  listDeploymentArtifacts,
  listDeployments,
  openDeployment,
  readPlan,
  writeDeploymentArtifact,
  writePlan,
} from '../src/deployments.ts';
import { Interrupted } from '../src/environment-lock.ts';
import { type Fence, takeLease, writeDesired } from '../src/environments.ts';
import { sightOrphans } from '../src/orphans.ts';
import { insertProject } from '../src/projects.ts';
import {
  failSnapshot,
  findSnapshot,
  freezeSnapshot,
  insertSnapshot,
  listKeptSnapshots,
  markSnapshotRemoved,
  newestFrozenSnapshot,
} from '../src/snapshots.ts';
import { finishStep, listSteps, noteStep, startStep } from '../src/steps.ts';
import { examplePreview, exampleProject } from './example-rows.ts';

const COMMIT = 'a'.repeat(40);
const NEWER = 'b'.repeat(40);

let database: TestDatabase;
let pool: pg.Pool;
let environmentId: string;
let projectId: string;
let counter = 0;

beforeAll(async () => {
  database = await createTestDatabase();
  pool = createPool({ url: database.url, max: 6, applicationName: 'test' });
});

afterAll(async () => {
  await pool.end();
  await database.drop();
});

beforeEach(async () => {
  counter += 1;
  ({ id: environmentId, projectId } = await environment(COMMIT));
});

async function environment(desiredCommit: string) {
  const project = await insertProject(pool, exampleProject(counter));
  const written = await writeDesired(pool, {
    ...examplePreview(project.id, counter),
    desiredCommit,
  });
  return written.environment;
}

async function takeFence(generation = '1'): Promise<Fence> {
  const lease = await takeLease(pool, environmentId);
  if (lease === undefined) throw new Error('the environment is gone');
  return { environmentId, generation, lease };
}

test('after a crash the running deployment of the generation is resumed, with its plan and steps', async () => {
  const fence = await takeFence();
  const first = await openDeployment(pool, fence, COMMIT);
  await writePlan(pool, fence, first.id, { fingerprint: 'f', plan: { common: 1 } });
  await startStep(pool, fence, { deploymentId: first.id, ordinal: 0, name: 'checkout' });
  const resumed = await openDeployment(pool, await takeFence(), COMMIT);
  expect(resumed).toMatchObject({ id: first.id, state: 'running', fingerprint: 'f' });
  expect(await readPlan(pool, resumed.id)).toEqual({ common: 1 });
  expect(await listSteps(pool, resumed.id)).toHaveLength(1);
  expect(await listDeployments(pool, environmentId)).toHaveLength(1);
});

test('a newer generation supersedes what ran, and exactly one runs', async () => {
  const first = await openDeployment(pool, await takeFence(), COMMIT);
  await environment(NEWER);
  const second = await openDeployment(pool, await takeFence('2'), NEWER);
  expect(second).toMatchObject({ generation: '2', commit: NEWER, state: 'running' });
  expect(second.id).not.toBe(first.id);
  const old = await findDeployment(pool, first.id);
  expect(old?.state).toBe('superseded');
  expect(old?.finishedAt).toBeInstanceOf(Date);
  const running = (await listDeployments(pool, environmentId)).filter((found) => found.state === 'running');
  expect(running.map((found) => found.id)).toEqual([second.id]);
});

test('the steps of a superseded deployment do not run for ever', async () => {
  const fence = await takeFence();
  const first = await openDeployment(pool, fence, COMMIT);
  await startStep(pool, fence, { deploymentId: first.id, ordinal: 2, name: 'build' });
  await environment(NEWER);
  await openDeployment(pool, await takeFence('2'), NEWER);
  expect((await listSteps(pool, first.id)).map((step) => step.state)).toEqual(['aborted']);
});

test('a finished deployment is not resumed: the same generation gets another', async () => {
  const fence = await takeFence();
  const first = await openDeployment(pool, fence, COMMIT);
  await closeDeployment(pool, fence, first.id, {
    state: 'failed',
    failure: { code: 'x', message: 'm', hint: null, tail: ['t'] },
  });
  const second = await openDeployment(pool, await takeFence(), COMMIT);
  expect(second.id).not.toBe(first.id);
  expect((await listDeployments(pool, environmentId)).map((found) => found.state)).toEqual([
    'running',
    'failed',
  ]);
});

test('whoever lost the lease opens nothing and supersedes nothing', async () => {
  const stale = await takeFence();
  const mine = await openDeployment(pool, await takeFence(), COMMIT);
  await expect(openDeployment(pool, stale, NEWER)).rejects.toBeInstanceOf(Interrupted);
  const old = { environmentId, generation: '0', lease: (BigInt(stale.lease) + 1n).toString() };
  await expect(openDeployment(pool, old, NEWER)).rejects.toBeInstanceOf(Interrupted);
  expect(await findDeployment(pool, mine.id)).toMatchObject({ state: 'running', commit: COMMIT });
  expect(await listDeployments(pool, environmentId)).toHaveLength(1);
});

test('two that open at once share one deployment', async () => {
  const fence = await takeFence();
  const opened = await Promise.all(Array.from({ length: 6 }, () => openDeployment(pool, fence, COMMIT)));
  expect(new Set(opened.map((found) => found.id)).size).toBe(1);
});

test('whoever lost the lease writes nothing into what its new holder goes on with', async () => {
  const stale = await takeFence();
  const { id } = await openDeployment(pool, stale, COMMIT);
  await startStep(pool, stale, { deploymentId: id, ordinal: 0, name: 'build' });
  const fence = await takeFence();
  const resumed = await openDeployment(pool, fence, COMMIT);
  await writePlan(pool, fence, id, { fingerprint: 'f', plan: {} });
  await noteStep(pool, fence, { deploymentId: id, name: 'build', note: 'of the new one' });
  const step = { deploymentId: id, name: 'build' };
  const artifact = { deploymentId: id, app: 'web', key: 'of the new one', cached: false };
  await writeDeploymentArtifact(pool, fence, artifact);
  const late: (() => Promise<void>)[] = [
    () => startStep(pool, stale, { ...step, ordinal: 0 }),
    () => startStep(pool, stale, { ...step, name: 'data', ordinal: 1 }),
    () => noteStep(pool, stale, { ...step, note: 'of the old one' }),
    () => finishStep(pool, stale, { ...step, state: 'failed' }),
    () => writePlan(pool, stale, id, { fingerprint: 'g', plan: {} }),
    () => writeDeploymentArtifact(pool, stale, { ...artifact, key: 'of the old one' }),
    () => closeDeployment(pool, stale, id, { state: 'failed' }),
    () => cancelDeployments(pool, stale),
  ];
  const before = await listSteps(pool, id);
  for (const write of late) await expect(write()).rejects.toMatchObject({ why: 'lock-lost' });
  expect(await findDeployment(pool, id)).toEqual({ ...resumed, fingerprint: 'f' });
  expect(await listSteps(pool, id)).toEqual(before);
  expect(await listDeploymentArtifacts(pool, id)).toEqual([
    { app: 'web', key: 'of the new one', cached: false },
  ]);
  // Its holder may still close it when something newer is wanted.
  await environment(NEWER);
  await finishStep(pool, fence, { ...step, state: 'aborted' });
  await closeDeployment(pool, fence, id, { state: 'superseded' });
  expect((await findDeployment(pool, id))?.state).toBe('superseded');
  expect((await listSteps(pool, id)).map(({ state }) => state)).toEqual(['aborted']);
});

test('a lease that is being taken is waited for, and then it is another’s', async () => {
  const stale = await takeFence();
  const { id } = await openDeployment(pool, stale, COMMIT);
  const usurper = await pool.connect();
  try {
    await usurper.query('begin');
    await takeLease(usurper, environmentId);
    const closing = closeDeployment(pool, stale, id, { state: 'ready' });
    closing.catch(() => undefined);
    await usurper.query('commit');
    await expect(closing).rejects.toMatchObject({ why: 'lock-lost' });
  } finally {
    usurper.release();
  }
  expect((await findDeployment(pool, id))?.state).toBe('running');
});

test('what is closed stays as it was closed', async () => {
  const fence = await takeFence();
  const { id } = await openDeployment(pool, fence, COMMIT);
  await closeDeployment(pool, fence, id, { state: 'ready' });
  const ready = await findDeployment(pool, id);
  await closeDeployment(pool, fence, id, { state: 'cancelled' });
  expect(await findDeployment(pool, id)).toEqual(ready);
});

const volumes = { 'service:db': { snapshotId: 's1', type: 'postgresql', version: '17.2' } };

async function frozen(): Promise<string> {
  const row = await insertSnapshot(pool, {
    environmentId,
    sanitize: 'none',
    policyCommit: COMMIT,
    sourceCommit: COMMIT,
  });
  await freezeSnapshot(pool, row.id, {
    volumes,
    credentialsEncrypted: Buffer.from('sealed'),
    attestation: { facts: {}, signature: 'ab' },
    report: null,
    sizeBytes: 5_000_000_000,
    capturedAt: new Date('2026-01-02T03:04:05Z'),
  });
  return row.id;
}

test('a snapshot is frozen with all that is signed about it, and the newest frozen one is found', async () => {
  expect(await newestFrozenSnapshot(pool, projectId)).toBeUndefined();
  await frozen();
  const id = await frozen();
  const capturing = await insertSnapshot(pool, {
    environmentId,
    sanitize: 'none',
    policyCommit: null,
    sourceCommit: null,
  });
  expect(capturing.state).toBe('capturing');
  expect(await newestFrozenSnapshot(pool, projectId)).toMatchObject({
    id,
    state: 'frozen',
    volumes,
    sizeBytes: '5000000000',
    attestation: { facts: {}, signature: 'ab' },
    capturedAt: new Date('2026-01-02T03:04:05Z'),
  });
});

test('a frozen snapshot cannot fail any more, and a removed one is never frozen again', async () => {
  const id = await frozen();
  await failSnapshot(pool, id, { code: 'late', message: 'too late', hint: null });
  expect(await findSnapshot(pool, id)).toMatchObject({ state: 'frozen', failureMessage: null });
  await markSnapshotRemoved(pool, id);
  await freezeSnapshot(pool, id, {
    volumes,
    credentialsEncrypted: Buffer.from('x'),
    attestation: {},
    report: null,
    sizeBytes: 1,
    capturedAt: new Date(),
  });
  expect(await findSnapshot(pool, id)).toMatchObject({ state: 'removed' });
  expect((await listKeptSnapshots(pool, projectId)).map((row) => row.id)).not.toContain(id);
});

test('a snapshot that failed is kept in the list: something of it may be on disk', async () => {
  const { id } = await insertSnapshot(pool, {
    environmentId,
    sanitize: 'none',
    policyCommit: null,
    sourceCommit: null,
  });
  await failSnapshot(pool, id, { code: 'disk-full', message: 'the disk is full', hint: null });
  expect(await listKeptSnapshots(pool, projectId)).toMatchObject([
    { id, state: 'failed', failureMessage: 'the disk is full', descendants: 0 },
  ]);
});

test('captures that fail one after the other are one row, tried again later and later', async () => {
  const of = { environmentId, sanitize: 'none', policyCommit: null, sourceCommit: null };
  const delays: number[] = [];
  let since: Date | null = null;
  for (let count = 1; count <= 12; count += 1) {
    const { id } = await insertSnapshot(pool, of);
    await failSnapshot(pool, id, { code: 'disk-full', message: `failure ${count}`, hint: 'Make room.' });
    const failed = (await listKeptSnapshots(pool, projectId)).filter(({ state }) => state === 'failed');
    expect(failed).toMatchObject([{ id, failures: count, failureMessage: `failure ${count}` }]);
    since ??= failed[0]?.failingSince ?? null;
    expect(failed[0]?.failingSince).toEqual(since);
    delays.push(Math.round(((failed[0]?.retryAt?.getTime() ?? 0) - Date.now()) / 60_000));
  }
  expect(delays).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 256, 360, 360, 360]);
});

test('descendants are the living environments that were cloned from it', async () => {
  const id = await frozen();
  await pool.query('update environments set data_snapshot_id = $1 where id = $2', [id, environmentId]);
  expect(await listKeptSnapshots(pool, projectId)).toMatchObject([{ id, descendants: 1 }]);
  await pool.query('update environments set removed_at = now() where id = $1', [environmentId]);
  expect(await listKeptSnapshots(pool, projectId)).toMatchObject([{ id, descendants: 0 }]);
});

test('orphans need two listings in a row that agree', async () => {
  const volume = { kind: 'volume', name: 'v1', path: '/x' };
  const workload = { kind: 'workload', name: 'v1' };
  expect(await sightOrphans(pool, [volume], 2)).toEqual([]);
  // Same name, other kind: seen for the first time.
  expect(await sightOrphans(pool, [volume, workload], 2)).toEqual([volume]);
  expect(await sightOrphans(pool, [volume, workload], 2)).toEqual([volume, workload]);
});

test('an orphan that had an owner in between starts again', async () => {
  const volume = { kind: 'volume', name: 'v2' };
  expect(await sightOrphans(pool, [volume], 2)).toEqual([]);
  expect(await sightOrphans(pool, [], 2)).toEqual([]);
  expect(await sightOrphans(pool, [volume], 2)).toEqual([]);
  expect(await sightOrphans(pool, [volume], 2)).toEqual([volume]);
});

test('one listing that names a thing twice counts once', async () => {
  const volume = { kind: 'volume', name: 'v3' };
  expect(await sightOrphans(pool, [volume, volume], 2)).toEqual([]);
});
