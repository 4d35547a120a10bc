import { phase } from '@bough/domain/environment';
import { listDeployments } from '@bough/store/deployments';
import { insertRequest, openRequests } from '@bough/store/requests';
import { writeAsleep } from '@bough/store/sleep';
import { askToWake, recordVisits } from '@bough/store/visits';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { sleepIdle } from '../src/idle.ts';
import { wake } from '../src/wake.ts';
import { type Harness, MANIFEST, openHarness } from './harness.ts';

const WITH_QUEUE = {
  '.bough/config.yaml': `${MANIFEST}services:
  queue:
    type: redis:7
`,
};

let bough: Harness;

beforeEach(async () => {
  bough = await openHarness();
});

afterEach(() => bough.close());

async function deployed(): Promise<string> {
  const id = await bough.wish(await bough.commit(WITH_QUEUE));
  await bough.look(id);
  expect(phase(await bough.row(id))).toBe('ready');
  return id;
}

async function sleep(id: string, reason = 'ada asked for it'): Promise<void> {
  const { generation, lastRequestAt } = await bough.row(id);
  expect(await writeAsleep(bough.pool, { environmentId: id, generation, lastRequestAt, reason })).toBe(true);
  await bough.look(id);
}

const running = async (id: string) =>
  (await bough.engine.list({ environmentId: id }))
    .filter(({ state }) => state !== 'stopped')
    .map(({ labels }) => labels.role)
    .sort();
const wakeUp = async (id: string) => {
  await askToWake(bough.pool, id);
  return await wake(bough.context, id, new AbortController().signal);
};
const deployments = async (id: string) =>
  (await listDeployments(bough.pool, id)).map(({ state }) => state).reverse();

test('asleep, nothing of it runs; awake, the same release does', async () => {
  const id = await deployed();
  const { releaseDeploymentId } = await bough.row(id);
  expect(await running(id)).toEqual(['service', 'worker']);
  await sleep(id);
  expect(await running(id)).toEqual([]);
  expect(phase(await bough.row(id))).toBe('asleep');
  expect(await bough.row(id)).toMatchObject({ releaseDeploymentId, sleepReason: 'ada asked for it' });

  expect(await wakeUp(id)).toEqual({ kind: 'done' });
  expect(await running(id)).toEqual(['service', 'worker']);
  expect(await bough.row(id)).toMatchObject({ releaseDeploymentId, sleepReason: null, failure: null });
  expect(phase(await bough.row(id))).toBe('ready');
  expect(await deployments(id)).toEqual(['ready']);
});

test('a first try to put it to sleep that failed is forgotten when it sleeps', async () => {
  const id = await deployed();
  const { engine } = bough;
  const stop = async () => {
    throw new Error('it does not stop');
  };
  Object.assign(bough.context, { engine: { ...engine, stop } });
  await sleep(id);
  expect((await bough.row(id)).failure).not.toBeNull();
  Object.assign(bough.context, { engine });
  await bough.pool.query(`update environments set retry_at = now() - interval '1 s' where id = $1`, [id]);
  await bough.look(id);
  expect(await bough.row(id)).toMatchObject({ failure: null, failures: 0 });
  expect(phase(await bough.row(id))).toBe('asleep');
});

test('a second visitor asks for nothing more, and a look without a request wakes nobody', async () => {
  const id = await deployed();
  await askToWake(bough.pool, id);
  const { projectId, subject } = await bough.row(id);
  expect(await openRequests(bough.pool, { projectId, subject })).toEqual([]);
  await sleep(id);
  await askToWake(bough.pool, id);
  await askToWake(bough.pool, id);
  expect(await openRequests(bough.pool, { projectId, subject })).toHaveLength(1);
  const { generation } = await bough.row(id);
  await wake(bough.context, id, new AbortController().signal);
  await wake(bough.context, id, new AbortController().signal);
  expect((await bough.row(id)).generation).toBe(String(Number(generation) + 1));
  await sleep(id);
  await wake(bough.context, id, new AbortController().signal);
  expect(phase(await bough.row(id))).toBe('asleep');
});

describe('what is wanted changed while it slept', () => {
  test('a new commit is deployed', async () => {
    const id = await deployed();
    await sleep(id);
    await bough.wish(await bough.commit({ ...WITH_QUEUE, 'a.txt': '2' }));
    await bough.look(id);
    expect(await deployments(id)).toEqual(['ready', 'ready']);
    expect(phase(await bough.row(id))).toBe('ready');
  });

  test('its artifact is gone: it is deployed again', async () => {
    const id = await deployed();
    await sleep(id);
    for (const { key } of await bough.engine.artifacts.list()) await bough.engine.artifacts.remove(key);
    await wakeUp(id);
    expect(await deployments(id)).toEqual(['ready', 'ready']);
    expect(await running(id)).toEqual(['service', 'worker']);
  });
});

test('put to sleep in the middle of a deployment, it is deployed when it wakes', async () => {
  const id = await bough.wish(await bough.commit(WITH_QUEUE));
  bough.onPoint = async (point) => {
    if (point !== 'after-release') return;
    bough.onPoint = async () => {};
    const { generation } = await bough.row(id);
    await writeAsleep(bough.pool, { environmentId: id, generation, lastRequestAt: null, reason: 'x' });
  };
  await bough.look(id);
  await bough.look(id);
  expect(await running(id)).toEqual([]);
  expect(phase(await bough.row(id))).toBe('asleep');
  expect(await deployments(id)).not.toContain('ready');
  await wakeUp(id);
  expect(phase(await bough.row(id))).toBe('ready');
  expect((await deployments(id)).at(-1)).toBe('ready');
});

test('asleep, a failed deployment is still shown as failed', async () => {
  const id = await deployed();
  const broken = { '.bough/config.yaml': MANIFEST.replace('echo built', 'exit 1') };
  await bough.wish(await bough.commit({ ...broken, 'a.txt': '2' }));
  await bough.look(id);
  await sleep(id);
  expect(await running(id)).toEqual([]);
  expect(await bough.row(id)).toMatchObject({ failure: { code: 'build-failed' } });
  expect(phase(await bough.row(id))).toBe('failed');
});

describe('nobody comes', () => {
  const MINUTE = 60_000;
  const after = (ms: number) => new Date(Date.now() + ms);
  const idle = async (id: string, seconds: number | null) =>
    await bough.pool.query('update environments set idle_seconds = $2 where id = $1', [id, seconds]);

  const sleepAt = (now: Date) =>
    sleepIdle({ ...bough.context, clock: { ...bough.context.clock, now: () => now } });

  test('after as long as the policy says, it sleeps', async () => {
    const id = await deployed();
    await idle(id, 1_800);
    expect(await sleepAt(after(29 * MINUTE))).toBe(0);
    expect(await sleepAt(after(31 * MINUTE))).toBe(1);
    await bough.look(id);
    expect(await running(id)).toEqual([]);
    expect(await bough.row(id)).toMatchObject({ sleepReason: 'nobody visited it for 30 min' });
  });

  test('without a policy it never does', async () => {
    await idle(await deployed(), null);
    expect(await sleepAt(after(1_000 * MINUTE))).toBe(0);
  });

  test('a visit puts it off', async () => {
    const id = await deployed();
    await idle(id, 1_800);
    await recordVisits(bough.pool, [{ environmentId: id, at: after(20 * MINUTE) }]);
    expect(await sleepAt(after(31 * MINUTE))).toBe(0);
    expect(await sleepAt(after(51 * MINUTE))).toBe(1);
  });

  test('a visit that comes while it is judged saves it', async () => {
    const id = await deployed();
    const { generation, lastRequestAt } = await bough.row(id);
    await recordVisits(bough.pool, [{ environmentId: id, at: new Date() }]);
    const judged = { environmentId: id, generation, lastRequestAt, reason: 'nobody came' };
    expect(await writeAsleep(bough.pool, judged)).toBe(false);
  });

  test('what is kept stays awake until then', async () => {
    const id = await deployed();
    await idle(id, 60);
    await bough.pool.query(`update environments set kept_until = now() + interval '1 hour' where id = $1`, [
      id,
    ]);
    expect(await sleepAt(after(59 * MINUTE))).toBe(0);
    expect(await sleepAt(after(61 * MINUTE))).toBe(1);
  });

  test('production never sleeps', async () => {
    const id = await deployed();
    await bough.pool.query(`update environments set kind = 'production' where id = $1`, [id]);
    await idle(id, 1);
    expect(await sleepAt(after(60 * MINUTE))).toBe(0);
  });
});

test('a rebuild builds anew what is there, and only this commit', async () => {
  const id = await deployed();
  const { projectId, subject, desiredCommit } = await bough.row(id);
  const keys = async () => (await bough.engine.artifacts.list()).map(({ key }) => key);
  const [first] = await keys();
  const rebuild = { projectId, subject, kind: 'rebuild' as const, askedBy: 'ada', argument: desiredCommit };
  const request = await insertRequest(bough.pool, rebuild);
  await bough.wish(desiredCommit, { requestId: request.id });
  await bough.look(id);
  expect(await keys()).toHaveLength(2);
  const next = await bough.commit({ ...WITH_QUEUE, 'b.txt': '2' });
  await bough.wish(next);
  await bough.look(id);
  const same = await bough.commit(WITH_QUEUE);
  expect(await keys()).toHaveLength(3);
  await bough.pool.query('update requests set argument = $1', [next]);
  await bough.wish(same);
  await bough.look(id);
  expect(await keys()).toHaveLength(3);
  expect((await keys())[0]).toBe(first);
  expect(phase(await bough.row(id))).toBe('ready');
});

describe('a machine with room for one', () => {
  const capacity = {
    maxAwake: 1,
    memoryReserveBytes: 0,
    diskReserveBytes: 0,
    memoryPerPreviewBytes: 1,
    minAwakeMs: 0,
    measure: async () => ({ memoryAvailableBytes: 1, diskAvailableBytes: 1 }),
  };
  const another = async () => {
    const commit = await bough.commit({ ...WITH_QUEUE, 'b.txt': '2' });
    return await bough.wish(commit, { subject: 'pull/8', slug: 'pr-8--shop' });
  };

  test('the one that nobody visited for longest sleeps before anybody is refused, and comes back in its turn', async () => {
    Object.assign(bough.context, { capacity });
    const first = await deployed();
    const second = await another();
    expect(await bough.look(second)).toMatchObject({ kind: 'again' });
    expect(await bough.row(second)).toMatchObject({
      waitingPosition: 1,
      waitingReason: expect.stringContaining('pr-7--shop'),
    });
    expect(await bough.row(first)).toMatchObject({ desiredState: 'asleep' });
    expect((await bough.row(first)).sleepReason).toContain('pr-8--shop needed the room');
    // It has not left yet.
    await bough.look(second);
    expect((await bough.row(second)).admittedAt).toBeNull();
    await bough.look(first);
    await bough.look(second);
    expect(phase(await bough.row(second))).toBe('ready');
    expect(await bough.row(second)).toMatchObject({ waitingPosition: null, waitingReason: null });
    expect([await running(first), await running(second)]).toEqual([[], ['service', 'worker']]);

    expect(await wakeUp(first)).toMatchObject({ kind: 'again' });
    await bough.look(second);
    await bough.look(first);
    expect(phase(await bough.row(first))).toBe('ready');
    expect(await running(second)).toEqual([]);
  });

  test('a disk without reserve keeps new work waiting, with the reason', async () => {
    const measure = async () => ({ memoryAvailableBytes: 1, diskAvailableBytes: 1_000 });
    Object.assign(bough.context, { capacity: { ...capacity, diskReserveBytes: 2_000, measure } });
    const id = await bough.wish(await bough.commit(WITH_QUEUE));
    await bough.look(id);
    expect(await bough.row(id)).toMatchObject({
      waitingReason: expect.stringContaining('the disk has'),
      failure: null,
    });
    expect(await deployments(id)).toEqual([]);
  });
});
