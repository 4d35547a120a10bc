import { phase } from '@bough/domain/environment';
import type { Consumer } from '@bough/queue/consumer';
import { createQueues, type Queues } from '@bough/queue/queue';
import { writeAbsent } from '@bough/store/environments';
import { insertProject } from '@bough/store/projects';
import { createTestRedis, type TestRedis } from '@bough/testkit/test-redis';
import { waitFor } from '@bough/testkit/wait-for';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createBuildSlots } from '../src/build-slots.ts';
import { putToSleep } from '../src/idle.ts';
import { reconcile } from '../src/reconcile.ts';
import { type Harness, openHarness } from './harness.ts';

/** Who comes first when not all have room: real rows, the real queue, and as many looks at once as a worker makes. */

const LOOK = { timeoutMs: 30_000, intervalMs: 50 };

let bough: Harness;
let redis: TestRedis;
let queues: Queues;
let consumer: Consumer;
/** A second project, of somebody else. */
let other: string;

beforeEach(async () => {
  bough = await openHarness();
  redis = await createTestRedis();
  const log = { info() {}, warn() {}, error() {} };
  queues = await createQueues({ connection: { kind: 'redis', url: redis.url }, prefix: 'admission', log });
  Object.assign(bough.context, {
    enqueue: async (queue: 'reconcile', key: string) => {
      if (queue === 'reconcile') await queues.enqueue(queue, key);
    },
  });
  consumer = queues.consume('reconcile', (key, signal) => reconcile(bough.context, key, signal), {
    concurrency: 4,
  });
  ({ id: other } = await insertProject(bough.pool, {
    ...{ installationId: 'i1', forge: 'github', forgeHost: 'github.com', repositoryId: 2 },
    ...{ owner: 'acme', name: 'blog', slug: 'blog', defaultBranch: 'main' },
    ...{ production: 'external', intake: 'poll' },
  }));
});

afterEach(async () => {
  await consumer.close({ timeoutMs: 5_000 });
  await queues.close();
  await redis.drop();
  await bough.close();
});

const PRODUCTION = { subject: 'production', slug: 'shop' };
const shop = (number: number) => ({ subject: `pull/${number}`, slug: `pr-${number}--shop` });
const blog = () => ({ subject: 'pull/1', slug: 'pr-1--blog', projectId: other });

/** Each with a tree, and so a build, of its own. */
async function ask(of: { subject: string; slug: string; projectId?: string }): Promise<string> {
  const id = await bough.wish(await bough.commit({ 'name.txt': of.slug }), of);
  await queues.enqueue('reconcile', id);
  return id;
}

const untilReady = (id: string) =>
  waitFor('it to be ready', async () => phase(await bough.row(id)) === 'ready', LOOK);

/** They wait in this order, and each says so to whoever reads its comment or asks `bough why`. */
async function untilQueued(ids: readonly string[]): Promise<void> {
  await waitFor(
    'all to know their places',
    async () => {
      const rows = await Promise.all(ids.map((id) => bough.row(id)));
      // As they do by themselves every few seconds.
      if (rows.some(({ waitingPosition }, index) => waitingPosition !== index + 1))
        for (const id of ids) await queues.enqueue('reconcile', id);
      expect(rows.map(({ waitingPosition }) => waitingPosition)).toEqual(ids.map((_, index) => index + 1));
      rows.forEach(({ waitingReason }, index) => {
        expect(waitingReason).toContain(index === 0 ? '(it is next)' : `(place ${index + 1} in the queue)`);
      });
      return true;
    },
    { ...LOOK, intervalMs: 200 },
  );
}

async function remove(id: string): Promise<void> {
  const { projectId, subject } = await bough.row(id);
  await writeAbsent(bough.pool, { projectId, subject });
  await queues.enqueue('reconcile', id);
}

/** Memory and disk are there; nobody is put to sleep for anybody. */
function haveRoomFor(maxAwake: number): void {
  const capacity = {
    ...{ maxAwake, memoryReserveBytes: 0, diskReserveBytes: 0, memoryPerPreviewBytes: 1 },
    minAwakeMs: 3_600_000,
    measure: async () => ({ memoryAvailableBytes: 1, diskAvailableBytes: 1 }),
  };
  Object.assign(bough.context, { capacity });
}

test('a place goes to the project that runs less, production waits for none, and all others know theirs', async () => {
  haveRoomFor(2);
  const first = await ask(shop(1));
  await untilReady(first);
  const second = await ask(shop(2));
  await untilReady(second);
  const waiting: string[] = [];
  for (const number of [3, 4]) {
    const id = await ask(shop(number));
    await waitFor('it to wait', async () => (await bough.row(id)).waitingPosition !== null, LOOK);
    waiting.push(id);
  }
  const [third = '', fourth = ''] = waiting;
  const stranger = await ask(blog());
  await untilQueued([stranger, third, fourth]);

  await untilReady(await ask(PRODUCTION));
  await untilQueued([stranger, third, fourth]);

  await remove(first);
  await untilReady(stranger);
  await untilQueued([third, fourth]);
  await remove(second);
  await untilReady(third);
  await untilQueued([fourth]);
  expect((await bough.row(third)).waitingPosition).toBeNull();
});

test('what is held waits for a place like any other when what it ran before wakes', async () => {
  haveRoomFor(2);
  const first = await ask(shop(1));
  const held = await ask(shop(2));
  await untilReady(first);
  await untilReady(held);
  const { id, generation, lastRequestAt } = await bough.row(held);
  await putToSleep(bough.context, { id, generation, lastRequestAt, reason: 'a test', actor: 'test' });
  await waitFor('it to sleep', async () => (await bough.row(held)).admittedAt === null, LOOK);
  haveRoomFor(1);
  await bough.wish((await bough.row(held)).desiredCommit, {
    ...shop(2),
    heldReason: 'nobody has approved it',
  });
  await queues.enqueue('reconcile', held);
  await waitFor('it to wait', async () => (await bough.row(held)).waitingPosition === 1, LOOK);
  const third = await ask(shop(3));
  await untilQueued([held, third]);
  await remove(first);
  await waitFor('it to run again', async () => (await bough.running(held)).length > 0, LOOK);
  await untilQueued([third]);
  expect(await bough.row(held)).toMatchObject({ waitingSince: null, waitingReason: null });
});

test('builds take turns between projects, and production’s is the next whoever waits', async () => {
  const built: string[] = [];
  let finishFirst = () => {};
  const firstEnds = new Promise<void>((resolve) => {
    finishFirst = resolve;
  });
  const { engine } = bough;
  const build: typeof engine.build = async (spec) => {
    built.push(spec.labels.environmentId);
    if (built.length === 1) await firstEnds;
    return await engine.build(spec);
  };
  const buildSlots = createBuildSlots(1, (ids) => {
    for (const id of ids) void queues.enqueue('reconcile', id);
  });
  Object.assign(bough.context, { engine: { ...engine, build }, buildSlots });
  const first = await ask(shop(1));
  await waitFor('the first to build', () => built.length === 1, LOOK);
  const waiting: string[] = [];
  for (const number of [2, 3]) {
    const id = await ask(shop(number));
    await waitFor('it to wait', async () => (await bough.row(id)).waitingPosition !== null, LOOK);
    waiting.push(id);
  }
  const stranger = await ask(blog());
  await untilQueued([stranger, ...waiting]);
  const production = await ask(PRODUCTION);
  await untilQueued([production, stranger, ...waiting]);
  finishFirst();
  const all = [first, production, stranger, ...waiting];
  for (const id of all) await untilReady(id);
  expect(built).toEqual(all);
});

test('who failed while it waited stands in nobody’s way', async () => {
  haveRoomFor(1);
  const first = await ask(shop(1));
  await untilReady(first);
  const second = await ask(shop(2));
  await waitFor('it to wait', async () => (await bough.row(second)).waitingPosition === 1, LOOK);
  const third = await ask(shop(3));
  await untilQueued([second, third]);
  // As a forge that does not answer leaves it.
  await bough.pool.query(
    `update environments set failures = 1, retry_at = now() + interval '1 hour' where id = $1`,
    [second],
  );
  await remove(first);
  await untilReady(third);
});
