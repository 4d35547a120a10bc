import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { compiledProgram } from '@bough/testkit/compiled-programs';
import { waitFor } from '@bough/testkit/wait-for';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Consumer, Handler, Outcome } from '../src/consumer.ts';
import { createQueues, type QueueName, type Queues } from '../src/queue.ts';
import { startPostgres, startRedis, type TestStore } from './servers.ts';

const done: Outcome = { kind: 'done' };
const silent = { info() {}, warn() {}, error() {} };
const stall = { lockMs: 1_000, checkMs: 500 };

describe.each([
  { kind: 'redis', startStore: startRedis },
  { kind: 'postgres', startStore: startPostgres },
])('the queue on $kind', ({ kind, startStore }) => {
  let store: TestStore;
  let prefix: string;
  let opened: Queues[] = [];
  let consumers: Consumer[] = [];
  let children: ChildProcess[] = [];

  beforeAll(async () => {
    store = await startStore();
  }, 60_000);

  afterAll(() => store.remove());

  afterEach(async () => {
    for (const child of children) child.kill('SIGKILL');
    await Promise.all(consumers.map((consumer) => consumer.close({ timeoutMs: 0 })));
    await Promise.all(opened.map((queues) => queues.close()));
    [opened, consumers, children] = [[], [], []];
  }, 30_000);

  async function open(fresh = true): Promise<Queues> {
    if (fresh) prefix = `t${randomUUID().slice(0, 8)}`;
    const queues = await createQueues({ connection: store.connection, prefix, log: silent, stall });
    opened.push(queues);
    return queues;
  }

  function consume(
    queues: Queues,
    handler: Handler,
    concurrency = 4,
    name: QueueName = 'reconcile',
  ): Consumer {
    const consumer = queues.consume(name, handler, { concurrency });
    consumers.push(consumer);
    return consumer;
  }

  async function idle(queues: Queues): Promise<void> {
    await until(async () => {
      const { waiting, active, delayed } = (await queues.counts()).reconcile;
      return waiting + active + delayed === 0;
    }, 10_000);
  }

  test('hands each key to a handler, and the same key waiting twice once', async () => {
    const queues = await open();
    for (const key of ['1', '2', '1', '1', '2']) await queues.enqueue('reconcile', key);
    expect((await queues.counts()).reconcile.waiting).toBe(2);
    const seen: string[] = [];
    consume(queues, async (key) => {
      seen.push(key);
      return done;
    });
    await idle(queues);
    expect(seen.sort()).toEqual(['1', '2']);
  });

  test('runs once more, at once, when the key is enqueued during a run, however often', async () => {
    const queues = await open();
    const run = gatedHandler();
    consume(queues, run.handler);
    await queues.enqueue('reconcile', 'k');
    await until(() => run.starts.length === 1, 5_000);
    for (let push = 0; push < 5; push += 1) await queues.enqueue('reconcile', 'k');
    expect(run.starts).toHaveLength(1);
    const released = Date.now();
    run.release();
    await until(() => run.starts.length === 2, 5_000);
    expect((run.starts[1] ?? 0) - released).toBeLessThan(1_500);
    run.release();
    await idle(queues);
    expect(run.starts).toHaveLength(2);
    expect(run.overlaps).toBe(0);
  });

  test('an enqueue during a run comes at once although the run asks to look again much later', async () => {
    const queues = await open();
    const run = gatedHandler({ kind: 'again', delayMs: 60_000 });
    consume(queues, run.handler);
    await queues.enqueue('reconcile', 'k');
    await until(() => run.starts.length === 1, 5_000);
    await queues.enqueue('reconcile', 'k');
    run.release();
    await until(() => run.starts.length === 2, 3_000);
    run.release();
    await until(async () => (await queues.counts()).reconcile.active === 0, 5_000);
    // Both runs asked for a later look, and there is one: the newest.
    expect((await queues.counts()).reconcile).toMatchObject({ waiting: 0, delayed: 1 });
    expect(run.starts).toHaveLength(2);
  });

  test('an enqueue while a later look waits comes at once', async () => {
    const queues = await open();
    const run = gatedHandler({ kind: 'again', delayMs: 60_000 });
    consume(queues, run.handler);
    await queues.enqueue('reconcile', 'k');
    await until(() => run.starts.length === 1, 5_000);
    run.release();
    await until(async () => (await queues.counts()).reconcile.delayed === 1, 5_000);
    await queues.enqueue('reconcile', 'k');
    await until(() => run.starts.length === 2, 3_000);
    run.release();
  });

  test('looks again after the delay', async () => {
    const queues = await open();
    const starts: number[] = [];
    consume(queues, async () => {
      starts.push(Date.now());
      return starts.length < 3 ? { kind: 'again', delayMs: 700 } : done;
    });
    await queues.enqueue('reconcile', 'k');
    await until(() => starts.length === 3, 15_000);
    await idle(queues);
    expect(starts).toHaveLength(3);
    expect((starts[1] ?? 0) - (starts[0] ?? 0)).toBeGreaterThanOrEqual(690);
  });

  test('a delayed enqueue waits, is put off by the next one, and not beyond its bound', async () => {
    const queues = await open();
    const starts: number[] = [];
    consume(queues, async () => {
      starts.push(Date.now());
      return done;
    });
    const began = Date.now();
    const notLaterThan = new Date(began + 1_200);
    await queues.enqueue('reconcile', 'k', { delayMs: 600, notLaterThan });
    await queues.enqueue('reconcile', 'k', { delayMs: 30_000, notLaterThan });
    expect((await queues.counts()).reconcile.delayed).toBe(1);
    await until(() => starts.length === 1, 10_000);
    expect((starts[0] ?? 0) - began).toBeGreaterThanOrEqual(1_100);
    await idle(queues);
    expect(starts).toHaveLength(1);
  });

  test('loses no push and never overlaps under many pushes and delays', async () => {
    const queues = await open();
    const wanted = new Map<string, number>();
    const seen = new Map<string, number>();
    const inside = new Set<string>();
    let overlaps = 0;
    consume(queues, async (key) => {
      if (inside.has(key)) overlaps += 1;
      inside.add(key);
      const goal = wanted.get(key) ?? 0;
      await new Promise((resolve) => setTimeout(resolve, 5));
      inside.delete(key);
      const before = seen.get(key) ?? 0;
      seen.set(key, Math.max(before, goal));
      return goal % 3 === 0 ? { kind: 'again', delayMs: 200 } : done;
    });
    for (let push = 1; push <= 300; push += 1) {
      const key = String(push % 7);
      wanted.set(key, push);
      await queues.enqueue('reconcile', key);
    }
    await until(() => [...wanted].every(([key, goal]) => (seen.get(key) ?? 0) >= goal), 20_000);
    expect(overlaps).toBe(0);
    expect((await queues.counts()).reconcile.failed).toBe(0);
  });

  test('a handler that throws is run again and never fails the job', async () => {
    const queues = await open();
    let runs = 0;
    consume(queues, async () => {
      runs += 1;
      if (runs === 1) throw new Error('boom');
      return done;
    });
    await queues.enqueue('reconcile', 'k');
    await until(() => runs === 2, 10_000);
    await idle(queues);
    expect((await queues.counts()).reconcile.failed).toBe(0);
  });

  test('closing lets a run end, aborts one that does not, and another consumer gets its key', async () => {
    const queues = await open();
    let aborted = false;
    const consumer = consume(queues, async (_key, signal) => {
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      aborted = true;
      throw signal.reason;
    });
    await queues.enqueue('reconcile', 'k');
    await until(async () => (await queues.counts()).reconcile.active === 1, 5_000);
    await consumer.close({ timeoutMs: 100 });
    expect(aborted).toBe(true);
    const other = await open(false);
    const seen: string[] = [];
    consume(other, async (key) => {
      seen.push(key);
      return done;
    });
    await until(() => seen.includes('k'), 10_000);
  });

  test('two installations on one store do not see each other', async () => {
    const one = await open();
    await one.enqueue('reconcile', 'k');
    const two = await open();
    expect((await two.counts()).reconcile.waiting).toBe(0);
    expect((await one.counts()).reconcile.waiting).toBe(1);
  });

  test('every: at once and then again and again, until stopped', async () => {
    const queues = await open();
    let runs = 0;
    consume(
      queues,
      async () => {
        runs += 1;
        return done;
      },
      1,
      'resync',
    );
    const timer = queues.every('resync', 'all', 100);
    await until(() => runs >= 3, 10_000);
    timer.stop();
  });

  test('the job of a killed process is handed out again, also the second time', async () => {
    const queues = await open();
    await queues.enqueue('reconcile', 'k');
    for (let death = 0; death < 2; death += 1) {
      const doomed = await startConsumerProcess();
      await doomed.said('started k', 15_000);
      doomed.child.kill('SIGKILL');
    }
    const seen: string[] = [];
    consume(queues, async (key) => {
      seen.push(key);
      return done;
    });
    await until(() => seen.length === 1, 15_000);
    await idle(queues);
    expect(seen).toEqual(['k']);
  }, 60_000);

  test('a push during the run of a killed process is not lost', async () => {
    const queues = await open();
    await queues.enqueue('reconcile', 'k');
    const doomed = await startConsumerProcess();
    await doomed.said('started k', 15_000);
    await queues.enqueue('reconcile', 'k');
    doomed.child.kill('SIGKILL');
    let runs = 0;
    consume(queues, async () => {
      runs += 1;
      return done;
    });
    await until(() => runs === 2, 15_000);
  }, 60_000);

  test('a process that was frozen and lost its key has its run aborted', async () => {
    const queues = await open();
    await queues.enqueue('reconcile', 'k');
    const frozen = await startConsumerProcess();
    await frozen.said('started k', 40_000);
    frozen.child.kill('SIGSTOP');
    const run = gatedHandler();
    consume(queues, run.handler);
    await until(() => run.starts.length === 1, 40_000);
    frozen.child.kill('SIGCONT');
    await frozen.said('aborted k', 40_000);
    // The aborted run asks for another look: had the store lost the key, nobody else would.
    run.release();
    frozen.child.kill('SIGKILL');
    await until(() => run.starts.length === 2, 40_000);
    run.release();
    await idle(queues);
  }, 180_000);

  test('a store that is down is said so quickly, and works again when it is back', async () => {
    const queues = await open();
    await queues.enqueue('reconcile', 'before');
    await store.stop();
    try {
      const asked = Date.now();
      await expect(queues.enqueue('reconcile', 'k')).rejects.toMatchObject({ code: 'queue-unavailable' });
      expect(Date.now() - asked).toBeLessThan(2_500);
    } finally {
      await store.start();
    }
    await until(
      () =>
        queues.enqueue('reconcile', 'after').then(
          () => true,
          () => false,
        ),
      15_000,
    );
    const seen: string[] = [];
    consume(queues, async (key) => {
      seen.push(key);
      return done;
    });
    await until(() => seen.includes('after'), 10_000);
    await until(() => seen.includes('before'), 10_000);
  }, 60_000);

  test('a consumer outlives its store going away and coming back', async () => {
    const queues = await open();
    const seen: string[] = [];
    consume(queues, async (key) => {
      seen.push(key);
      return done;
    });
    await queues.enqueue('reconcile', 'one');
    await until(() => seen.includes('one'), 5_000);
    await store.stop();
    await store.start();
    await until(async () => {
      await queues.enqueue('reconcile', 'two').catch(() => {});
      return seen.includes('two');
    }, 30_000);
  }, 60_000);

  test('a store that cannot be reached at the start is an error', async () => {
    const connection = { kind: store.connection.kind, url: deadUrl(store.connection.url) };
    const opening = createQueues({ connection, prefix: 'x', log: silent });
    await expect(opening).rejects.toMatchObject({ code: 'queue-unavailable' });
  }, 30_000);

  test.runIf(kind === 'redis')(
    'goes on after FLUSHALL, with work queued and work running',
    async () => {
      const queues = await open();
      const run = gatedHandler();
      consume(queues, run.handler, 1);
      await queues.enqueue('reconcile', 'running');
      await until(() => run.starts.length === 1, 5_000);
      await queues.enqueue('reconcile', 'waiting');
      const redis = new Redis(store.connection.url);
      await redis.flushall();
      redis.disconnect();
      run.release();
      await until(() => run.ends === 1, 5_000);
      await queues.enqueue('reconcile', 'running');
      await until(() => run.starts.length === 2, 15_000);
      run.release();
      await queues.enqueue('reconcile', 'waiting');
      await until(() => run.starts.length === 3, 5_000);
      run.release();
      await idle(queues);
    },
    40_000,
  );

  async function startConsumerProcess() {
    const script = fileURLToPath(new URL('consumer-process.ts', import.meta.url));
    const { kind: storeKind, url } = store.connection;
    const child = spawn(process.execPath, [await compiledProgram(script), storeKind, url, prefix], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    children.push(child);
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
    return {
      child,
      said: (line: string, timeoutMs: number) => until(() => output.includes(line), timeoutMs),
    };
  }
});

const until = (condition: () => boolean | Promise<boolean>, timeoutMs: number) =>
  waitFor('the condition of the test', condition, { timeoutMs });

/** A handler whose runs end when the test says so. */
function gatedHandler(outcome: Outcome = done) {
  const gates: (() => void)[] = [];
  const inside = new Set<string>();
  const run = {
    starts: [] as number[],
    ends: 0,
    overlaps: 0,
    release: () => gates.shift()?.(),
    handler: async (key: string): Promise<Outcome> => {
      if (inside.has(key)) run.overlaps += 1;
      inside.add(key);
      const gate = new Promise<void>((resolve) => gates.push(resolve));
      run.starts.push(Date.now());
      await gate;
      inside.delete(key);
      run.ends += 1;
      return outcome;
    },
  };
  return run;
}

/** The same address with a port that nobody listens on. */
function deadUrl(url: string): string {
  return url.replace(/:\d+(?=\/|$)/, ':1');
}
