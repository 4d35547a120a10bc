import { randomBytes } from 'node:crypto';
import { mkdir, readdir, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createBuildCache } from '@bough/engine/process/build-cache';
import { fetchIntoMirror } from '@bough/forge/git/mirror';
import { createMirrors } from '@bough/forge/git/mirrors';
import { listBudgets } from '@bough/store/budgets';
import { insertSnapshot } from '@bough/store/snapshots';
import { createGitRepository } from '@bough/testkit/git-repository';
import { createTempHome } from '@bough/testkit/temp-home';
import { testGit } from '@bough/testkit/test-git';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { prune, pruneWhenDue } from '../src/budgets/prune.ts';
import type { Shelf } from '../src/budgets/shelf.ts';
import { type Budgets, createShelves } from '../src/budgets/shelves.ts';
import type { Context } from '../src/context.ts';
import { createStepLogs } from '../src/step-log.ts';
import { type Harness, openHarness } from './harness.ts';

/** Everything that has a budget, on a real file system, a real git and a real Postgres. */

const MIB = 1024 ** 2;
const PLENTY: Budgets = {
  ...{ artifacts: 1_000 * MIB, caches: 1_000 * MIB, mirrors: 1_000 * MIB },
  ...{ logs: 1_000 * MIB, snapshots: 1_000 * MIB },
};
const hoursAgo = (hours: number) => new Date(Date.now() - hours * 3_600_000);
const never = new AbortController().signal;

let bough: Harness;
let home: Awaited<ReturnType<typeof createTempHome>>;

beforeEach(async () => {
  bough = await openHarness();
  home = await createTempHome('budgets');
});

afterEach(async () => {
  await bough.close();
  await home.remove();
});

const cache = () => createBuildCache(home.path);
const logs = () => join(home.path, 'logs');
const mirrorsOf = async () => createMirrors(await testGit(), join(home.path, 'mirrors'));

async function withBudgets(budgets: Partial<Budgets>, more: Partial<Context> = {}): Promise<Context> {
  const stepLogs = createStepLogs(logs());
  const engine = { ...bough.engine, caches: cache() };
  const { pool, storage } = bough.context;
  const shelves = createShelves(
    { ...PLENTY, ...budgets },
    { ...{ pool, engine, storage, stepLogs }, mirrors: await mirrorsOf(), logs: logs() },
  );
  return { ...bough.context, shelves, stepLogs, ...more };
}

async function publishCache(key: string, bytes: number, usedAt: Date): Promise<void> {
  const directory = join(home.path, `made-${key}`);
  await mkdir(directory);
  await writeFile(join(directory, 'cached'), randomBytes(bytes));
  await cache().publish(key, directory);
  await utimes(join(home.path, 'caches', key), usedAt, usedAt);
}

const namesIn = async (path: string) => (await readdir(join(home.path, path))).sort();
const budgetOf = async (kind: string) => (await listBudgets(bough.pool)).find((row) => row.kind === kind);
const prunings = async () =>
  (await bough.pool.query<{ detail: unknown }>(`select detail from events where kind = 'storage.pruned'`))
    .rows;

/** Two deployments of one preview: what the first one made is not needed any more. */
async function deployTwice(): Promise<{ context: Context; first: string; second: string }> {
  const context = await withBudgets({});
  Object.assign(bough.context, { stepLogs: context.stepLogs });
  const id = await bough.wish(await bough.commit());
  await bough.look(id);
  const first = (await bough.row(id)).releaseDeploymentId ?? '';
  await bough.wish(await bough.commit({ 'a.txt': '2' }));
  await bough.look(id);
  const second = (await bough.row(id)).releaseDeploymentId ?? '';
  expect(second).not.toBe(first);
  return { context, first, second };
}

test('of build caches that which was used longest ago goes, and none that a build may be copying', async () => {
  await publishCache('old', MIB, hoursAgo(9));
  await publishCache('older', MIB, hoursAgo(10));
  await publishCache('new', MIB, new Date());
  await prune(await withBudgets({ caches: 2.5 * MIB }), never);
  expect(await namesIn('caches')).toEqual(['new', 'old']);
  expect(await budgetOf('caches')).toMatchObject({ items: 2, prunedItems: 1, budgetBytes: 2.5 * MIB });
  expect((await budgetOf('caches'))?.prunedBytes).toBeGreaterThanOrEqual(MIB);

  await prune(await withBudgets({ caches: 1 }), never);
  expect(await namesIn('caches')).toEqual(['new']);
  expect(await budgetOf('caches')).toMatchObject({ items: 1, prunedItems: 2 });
  expect(await prunings()).toHaveLength(2);
  // A build that comes back to it begins with nothing, and that is all.
  const empty = join(home.path, 'empty');
  await mkdir(empty);
  await cache().copyTo('old', empty, undefined);
  expect(await readdir(empty)).toEqual([]);
});

test('a build that copies a cache has used it', async () => {
  await publishCache('a', MIB, hoursAgo(9));
  await publishCache('b', MIB, hoursAgo(8));
  await mkdir(join(home.path, 'copy'));
  await cache().copyTo('a', join(home.path, 'copy'), undefined);
  await prune(await withBudgets({ caches: 1.5 * MIB }), never);
  expect(await namesIn('caches')).toEqual(['a']);
});

test('artifacts and logs of what serves stay, also when it sleeps; those of earlier deployments go', async () => {
  const { first, second } = await deployTwice();
  await bough.pool.query(`update artifacts set last_used_at = now() - interval '1 day', size_bytes = 10`);
  expect(await bough.engine.artifacts.list()).toHaveLength(2);
  expect(await namesIn('logs/deployments')).toEqual([first, second].sort());
  await prune(await withBudgets({ artifacts: 1, logs: 1 }), never);
  const kept = await bough.pool.query<{ key: string }>(
    'select key from deployment_artifacts where deployment_id = $1',
    [second],
  );
  expect((await bough.engine.artifacts.list()).map(({ key }) => key)).toEqual(
    kept.rows.map(({ key }) => key),
  );
  expect(await namesIn('logs/deployments')).toEqual([second]);
  expect(await budgetOf('artifacts')).toMatchObject({ items: 1, usedBytes: 10, pinnedBytes: 10 });

  await bough.pool.query(`update environments set desired_state = 'asleep'`);
  await prune(await withBudgets({ artifacts: 1, logs: 1 }), never);
  expect(await bough.engine.artifacts.list()).toHaveLength(1);
});

test('a mirror is trimmed to what its environments need, and goes with its project', async () => {
  const git = await testGit();
  const repository = await createGitRepository(join(home.path, 'repository'));
  const old = await repository.commit('Old', { 'big.bin': randomBytes(2 * MIB) });
  await repository.git('checkout', '--quiet', '--orphan', 'other');
  await repository.git('rm', '--quiet', '-r', '--cached', '.');
  const wanted = await repository.commit('Wanted', { 'big.bin': null, 'a.txt': '1\n' });
  await repository.git('branch', 'old', old);
  for (const id of [bough.projectId, '4711'])
    for (const commit of [old, wanted])
      await fetchIntoMirror({
        ...{ git, mirror: join(home.path, 'mirrors', `${id}.git`), url: repository.path, commit },
        timeoutMs: 60_000,
      });
  // Not fetched within the hour, or it would stay for whoever reads it.
  const packs = join(home.path, 'mirrors', `${bough.projectId}.git`, 'objects/pack');
  for (const name of await readdir(packs)) await utimes(join(packs, name), hoursAgo(3), hoursAgo(3));
  await bough.wish(wanted);
  const mirrors = await mirrorsOf();
  const sizeOf = async () =>
    (await mirrors.list()).find(({ projectId }) => projectId === bough.projectId)?.sizeBytes ?? 0;
  expect(await sizeOf()).toBeGreaterThan(2 * MIB);

  await prune(await withBudgets({ mirrors: 1 }), never);
  expect(await namesIn('mirrors')).toEqual([`${bough.projectId}.git`]);
  expect((await mirrors.list()).map(({ commits }) => commits)).toEqual([[wanted]]);
  expect(await sizeOf()).toBeLessThan(MIB);
  const at = { mirror: join(home.path, 'mirrors', `${bough.projectId}.git`), commit: wanted };
  expect(String(await bough.context.sources.readFile({ ...at, path: 'a.txt' }))).toBe('1\n');
  expect(await budgetOf('mirrors')).toMatchObject({ items: 1, failure: null });
  const { pinnedBytes, usedBytes } = (await budgetOf('mirrors')) ?? {};
  expect(pinnedBytes).toBe(usedBytes);
});

test('of goldens the newest and those with previews stay', async () => {
  const environmentId = await bough.wish(await bough.commit());
  const freeze = async () => {
    const of = { environmentId, sanitize: 'none', policyCommit: null, sourceCommit: null };
    const { id } = await insertSnapshot(bough.pool, of);
    await bough.pool.query(
      `update snapshots set state = 'frozen', frozen_at = now(), size_bytes = 100 where id = $1`,
      [id],
    );
    return id;
  };
  const [cloned, unused, newest] = [await freeze(), await freeze(), await freeze()];
  await bough.pool.query('update environments set data_snapshot_id = $1', [cloned]);
  await prune(await withBudgets({ snapshots: 1 }), never);
  const { rows } = await bough.pool.query<{ id: string }>(
    `select id::text from snapshots where state = 'removed'`,
  );
  expect(rows).toEqual([{ id: unused }]);
  expect(newest).not.toBe(unused);
});

test('a disk that is too full gives back what nobody uses, whatever the budgets', async () => {
  await publishCache('old', MIB, hoursAgo(9));
  await publishCache('older', MIB, hoursAgo(10));
  let diskAvailableBytes = 10 * MIB;
  const capacity = {
    ...{ maxAwake: null, memoryReserveBytes: 0, memoryPerPreviewBytes: 1, minAwakeMs: 0 },
    diskReserveBytes: 10 * MIB,
    measure: async () => ({ memoryAvailableBytes: 1, diskAvailableBytes }),
  };
  const context = await withBudgets({}, { capacity });
  await pruneWhenDue(context, never);
  expect(await namesIn('caches')).toEqual(['old', 'older']);
  // It was measured a moment ago, so that only the disk makes it look again.
  await pruneWhenDue(context, never);
  diskAvailableBytes -= MIB / 2;
  await pruneWhenDue(context, never);
  expect(await namesIn('caches')).toEqual(['old']);
});

test('one kind that cannot be measured, and one thing that cannot be removed, keep nothing else', async () => {
  await publishCache('stuck', MIB, hoursAgo(10));
  await publishCache('old', MIB, hoursAgo(9));
  const context = await withBudgets({ caches: 1 });
  const broken = (context.shelves ?? []).map((shelf): Shelf => {
    if (shelf.kind === 'logs')
      return { ...shelf, list: async () => Promise.reject(new Error('the disk is gone')) };
    if (shelf.kind !== 'caches') return shelf;
    const remove: Shelf['remove'] = async (key, signal) => {
      if (key === 'stuck') throw new Error('EBUSY');
      await shelf.remove(key, signal);
    };
    return { ...shelf, remove };
  });
  await prune({ ...context, shelves: broken }, never);
  expect(await namesIn('caches')).toEqual(['stuck']);
  expect((await budgetOf('logs'))?.failure).toBe('the disk is gone');
  expect(await budgetOf('caches')).toMatchObject({ failure: null, prunedItems: 1 });
});

test('with a database of another installation nothing is pruned', async () => {
  await publishCache('old', MIB, hoursAgo(9));
  await prune(await withBudgets({ caches: 1 }, { mayReap: false }), never);
  expect(await namesIn('caches')).toEqual(['old']);
});
