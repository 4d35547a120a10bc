import { spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { compiledProgram } from '@bough/testkit/compiled-programs';
import { createTestDatabase, type TestDatabase } from '@bough/testkit/test-database';
import { waitFor } from '@bough/testkit/wait-for';
import type pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createPool } from '../src/database.ts';
import { type EnvironmentLock, Interrupted, withEnvironmentLock } from '../src/environment-lock.ts';
import { takeLease, writeAbsent, writeDesired, writeRemoved, writeRunningStep } from '../src/environments.ts';
import { insertProject } from '../src/projects.ts';
import { examplePreview, exampleProject } from './example-rows.ts';

/** DESIGN §5: a step stops within a second of what ends its right to run. */
const STOP_WITHIN_MS = 1_000;
/** Of the machine, which runs other tests too. */
const SLACK_MS = 300;

let database: TestDatabase;
let pool: pg.Pool;
let projectId: string;
let environmentId: string;
let counter = 0;

beforeAll(async () => {
  database = await createTestDatabase();
  pool = createPool({ url: database.url, max: 4, applicationName: 'test' });
});

afterAll(async () => {
  await pool.end();
  await database.drop();
});

beforeEach(async () => {
  counter += 1;
  const project = await insertProject(pool, exampleProject(counter));
  projectId = project.id;
  environmentId = (await wish('a'.repeat(40))).id;
});

async function wish(desiredCommit: string, subject = 'pull/7') {
  const { environment } = await writeDesired(pool, {
    ...examplePreview(projectId, counter),
    subject,
    slug: `${subject.replace('/', '-')}--p${counter}`,
    desiredCommit,
  });
  return environment;
}

const never = new AbortController().signal;
const options = (signal = never) => ({ url: database.url, environmentId, signal });

/** Works until it is stopped; says when and why. */
async function untilStopped({ signal }: EnvironmentLock): Promise<{ why: string; at: number }> {
  if (!signal.aborted) await Promise.race([once(signal, 'abort'), delay(10_000, undefined, { ref: false })]);
  const reason: unknown = signal.reason;
  return { why: reason instanceof Interrupted ? reason.why : `not interrupted: ${reason}`, at: Date.now() };
}

async function backendPid(): Promise<number> {
  return waitFor('the connection that holds the lock', async () => {
    const { rows } = await pool.query<{ pid: number }>(
      `select pid from pg_stat_activity where datname = current_database() and application_name = $1`,
      [`bough lock ${environmentId}`],
    );
    return rows[0]?.pid;
  });
}

/** Takes the lock, does something to it, and returns why and how soon the work was told to stop. */
async function stopBy(act: (lock: EnvironmentLock) => Promise<unknown>) {
  let actedAt = 0;
  const outcome = await withEnvironmentLock(options(), async (lock) => {
    await act(lock);
    actedAt = Date.now();
    return untilStopped(lock);
  });
  if (outcome.kind !== 'held') throw new Error(outcome.kind);
  return { why: outcome.result.why, afterMs: outcome.result.at - actedAt };
}

describe('exclusion', () => {
  test('while one works another is told that it is busy, and afterwards may', async () => {
    const stage = new EventEmitter();
    const entered = once(stage, 'entered');
    const first = withEnvironmentLock(options(), async () => {
      const released = once(stage, 'release');
      stage.emit('entered');
      await released;
      return 'first';
    });
    await entered;
    let worked = false;
    const work = async () => {
      worked = true;
      return 'second';
    };
    expect(await withEnvironmentLock(options(), work)).toEqual({ kind: 'busy' });
    expect(worked).toBe(false);
    stage.emit('release');
    expect(await first).toEqual({ kind: 'held', result: 'first' });
    expect(await withEnvironmentLock(options(), work)).toEqual({ kind: 'held', result: 'second' });
  });

  test('of ten at once exactly one works', async () => {
    let refused = 0;
    let inside = 0;
    let most = 0;
    const all = await Promise.all(
      Array.from({ length: 10 }, () =>
        withEnvironmentLock(options(), async () => {
          inside += 1;
          most = Math.max(most, inside);
          await waitFor('the others to be refused', () => refused >= 9);
          inside -= 1;
        }).then((outcome) => {
          if (outcome.kind === 'busy') refused += 1;
          return outcome.kind;
        }),
      ),
    );
    expect(most).toBe(1);
    expect(all.filter((kind) => kind === 'held')).toHaveLength(1);
    expect(all.filter((kind) => kind === 'busy')).toHaveLength(9);
  });

  test('another environment is not in the way', async () => {
    const other = await wish('b'.repeat(40), 'pull/8');
    const outcome = await withEnvironmentLock(options(), () =>
      withEnvironmentLock({ ...options(), environmentId: other.id }, async () => 'both'),
    );
    expect(outcome).toEqual({ kind: 'held', result: { kind: 'held', result: 'both' } });
  });

  test('each holder has a higher lease, and the fence is good to write at', async () => {
    const leases: bigint[] = [];
    for (let turn = 0; turn < 2; turn += 1) {
      await withEnvironmentLock(options(), async ({ fence }) => {
        leases.push(BigInt(fence.lease));
        expect(await writeRunningStep(pool, fence, 'build')).toBe(true);
      });
    }
    expect(leases[1]).toBeGreaterThan(leases[0] ?? 0n);
  });

  test('work that throws releases the lock, and its error is what comes out', async () => {
    const failing = withEnvironmentLock(options(), async () => {
      throw new Error('the build broke');
    });
    await expect(failing).rejects.toThrow('the build broke');
    expect(await withEnvironmentLock(options(), async () => 1)).toEqual({ kind: 'held', result: 1 });
  });

  test('a removed environment is gone', async () => {
    await writeAbsent(pool, { projectId, subject: 'pull/7' });
    await withEnvironmentLock(options(), async ({ fence }) => {
      expect(await writeRemoved(pool, fence)).toBe(true);
    });
    expect(await withEnvironmentLock(options(), async () => 1)).toEqual({ kind: 'gone' });
  });
});

describe('work is stopped within a second', () => {
  test('when its connection is terminated', async () => {
    const { why, afterMs } = await stopBy(async () => {
      await pool.query('select pg_terminate_backend($1)', [await backendPid()]);
    });
    expect(why).toBe('lock-lost');
    expect(afterMs).toBeLessThan(STOP_WITHIN_MS);
  });

  test('when its connection says nothing any more', async () => {
    let pid = 0;
    try {
      const { why, afterMs } = await stopBy(async () => {
        pid = await backendPid();
        process.kill(pid, 'SIGSTOP');
      });
      expect(why).toBe('lock-lost');
      expect(afterMs).toBeLessThan(STOP_WITHIN_MS + SLACK_MS);
    } finally {
      if (pid > 0) process.kill(pid, 'SIGCONT');
    }
  });

  test('when something newer is wanted', async () => {
    const { why, afterMs } = await stopBy(() => wish('c'.repeat(40)));
    expect(why).toBe('superseded');
    expect(afterMs).toBeLessThan(STOP_WITHIN_MS);
  });

  test('when it is to be removed', async () => {
    const { why, afterMs } = await stopBy(() => writeAbsent(pool, { projectId, subject: 'pull/7' }));
    expect(why).toBe('superseded');
    expect(afterMs).toBeLessThan(STOP_WITHIN_MS);
  });

  test('when another took its lease: that is a lost lock, not a newer wish', async () => {
    const { why, afterMs } = await stopBy(() => takeLease(pool, environmentId));
    expect(why).toBe('lock-lost');
    expect(afterMs).toBeLessThan(STOP_WITHIN_MS);
  });

  test('at once when Bough shuts down, before it started too', async () => {
    const shutdown = new AbortController();
    const outcome = await withEnvironmentLock(options(shutdown.signal), async (lock) => {
      shutdown.abort();
      return untilStopped(lock);
    });
    expect(outcome).toMatchObject({ kind: 'held', result: { why: 'shutdown' } });
    const late = await withEnvironmentLock(options(shutdown.signal), untilStopped);
    expect(late).toMatchObject({ kind: 'held', result: { why: 'shutdown' } });
  });

  test('and by nothing else: what is shown changes, the work goes on', async () => {
    const outcome = await withEnvironmentLock(options(), async ({ signal, fence }) => {
      await pool.query(`update environments set facts = '{"title": "new"}' where id = $1`, [environmentId]);
      await writeRunningStep(pool, fence, 'build');
      await delay(STOP_WITHIN_MS);
      return signal.aborted;
    });
    expect(outcome).toEqual({ kind: 'held', result: false });
  });
});

test('a holder that is killed loses the lock at once', async () => {
  const script = fileURLToPath(new URL('./lock-holder.ts', import.meta.url));
  const args = [await compiledProgram(script), database.url, environmentId];
  const holder = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const closed = once(holder, 'close');
  try {
    const [line] = (await Promise.race([
      once(createInterface({ input: holder.stdout }), 'line'),
      closed.then(() => ['it ended']),
    ])) as [string];
    expect(line).toMatch(/^held \d+$/);
    expect(await withEnvironmentLock(options(), async () => 1)).toEqual({ kind: 'busy' });
    holder.kill('SIGKILL');
    await closed;
    const lease = await waitFor(
      'the lock to be free',
      async () => {
        const outcome = await withEnvironmentLock(options(), async ({ fence }) => fence.lease);
        return outcome.kind === 'held' && outcome.result;
      },
      { timeoutMs: 5_000 },
    );
    expect(BigInt(lease)).toBeGreaterThan(BigInt(line.slice('held '.length)));
  } finally {
    holder.kill('SIGKILL');
    await closed;
  }
});

test('a stall of this process is not taken for a lost connection', async () => {
  const client = await pool.connect();
  try {
    const outcome = await withEnvironmentLock(options(), async ({ signal }) => {
      await client.query('begin');
      await client.query('lock table environments in access exclusive mode');
      await waitFor('a beat that waits for its answer', async () => {
        const { rows } = await pool.query(
          `select 1 from pg_stat_activity where application_name = $1 and wait_event_type = 'Lock'`,
          [`bough lock ${environmentId}`],
        );
        return rows[0];
      });
      const committed = client.query('commit');
      // The answer arrives while nothing here runs.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, STOP_WITHIN_MS);
      await committed;
      await delay(100);
      return signal.aborted;
    });
    expect(outcome).toEqual({ kind: 'held', result: false });
  } finally {
    client.release();
  }
});
