import { BoughError } from '@bough/domain/bough-error';
import { type Clock, systemClock, type Timer } from '@bough/domain/clock';
import pg from 'pg';
import { type Fence, takeLease } from './environments.ts';

/** First half of the advisory lock's key: "environment" among our advisory locks. */
const LOCK_CLASS = 0xb006;
/** A lost connection or a newer generation must stop a step within a second (DESIGN §5). */
const HEARTBEAT_MS = 300;
const HEARTBEAT_TIMEOUT_MS = 600;
const SOCKETS_READ_MS = 20;

/** Why work under the lock must stop: somebody wants something newer, or the lock's connection is gone. */
export class Interrupted extends Error {
  readonly why: 'superseded' | 'lock-lost' | 'shutdown';

  constructor(why: 'superseded' | 'lock-lost' | 'shutdown') {
    super(`interrupted: ${why}`);
    this.name = 'Interrupted';
    this.why = why;
  }
}

export interface EnvironmentLock {
  readonly fence: Fence;
  /** Aborts with an `Interrupted` as its reason. */
  readonly signal: AbortSignal;
}

export interface LockOptions {
  readonly url: string;
  readonly environmentId: string;
  readonly signal: AbortSignal;
  readonly clock?: Clock;
  /** Makes the connection that the lock lives on. */
  readonly connect?: (config: pg.ClientConfig) => pg.Client;
}

/**
 * Runs `work` while nobody else works on the environment. Mutual exclusion is a Postgres advisory lock on a connection
 * of its own, never the queue: a stalled job can be handed out twice. Returns `busy` when another holds it and `gone`
 * when the environment is removed.
 *
 * The connection beats: each beat reads the row's generation and lease, so the one query notices a dead connection, a
 * newer wish and a usurper.
 */
export async function withEnvironmentLock<Result>(
  options: LockOptions,
  work: (lock: EnvironmentLock) => Promise<Result>,
): Promise<{ kind: 'held'; result: Result } | { kind: 'busy' } | { kind: 'gone' }> {
  const clock = options.clock ?? systemClock;
  const connect = options.connect ?? ((config) => new pg.Client(config));
  const client = connect({
    connectionString: options.url,
    application_name: `bough lock ${options.environmentId}`,
    connectionTimeoutMillis: 10_000,
    keepAlive: true,
  });
  const controller = new AbortController();
  const interrupt = (why: Interrupted['why']) => {
    if (!controller.signal.aborted) controller.abort(new Interrupted(why));
  };
  client.on('error', () => interrupt('lock-lost'));
  client.on('end', () => interrupt('lock-lost'));
  const onShutdown = () => interrupt('shutdown');
  options.signal.addEventListener('abort', onShutdown, { once: true });
  let beating: Timer | undefined;
  let isOver = false;
  try {
    await client.connect();
    const { rows } = await client.query<{ locked: boolean }>(
      'select pg_try_advisory_lock($1, $2::int) as locked',
      [LOCK_CLASS, Number(BigInt(options.environmentId) % 2_147_483_647n)],
    );
    if (rows[0]?.locked !== true) return { kind: 'busy' };
    const lease = await takeLease(client as never, options.environmentId);
    if (lease === undefined) return { kind: 'gone' };
    const generation = await readGeneration(client, options.environmentId, lease);
    if (generation === undefined) return { kind: 'gone' };
    const fence: Fence = { environmentId: options.environmentId, generation, lease };
    if (options.signal.aborted) interrupt('shutdown');
    const beat = async () => {
      const now = await withTimeout(
        clock,
        readGeneration(client, options.environmentId, lease),
        HEARTBEAT_TIMEOUT_MS,
      ).catch(() => 'lost' as const);
      if (isOver) return;
      // Undefined: somebody else has the lease, so the lock was lost before we noticed.
      if (now === 'lost' || now === undefined) return interrupt('lock-lost');
      if (now !== generation) return interrupt('superseded');
      beating = clock.after(HEARTBEAT_MS, beat);
    };
    beating = clock.after(HEARTBEAT_MS, beat);
    return { kind: 'held', result: await work({ fence, signal: controller.signal }) };
  } finally {
    isOver = true;
    beating?.cancel();
    options.signal.removeEventListener('abort', onShutdown);
    // Ending the session releases the lock, whatever state it is in.
    await withTimeout(clock, client.end(), 2_000).catch(() => {});
  }
}

/** Undefined when somebody else has taken the lease since. */
async function readGeneration(
  client: pg.Client,
  environmentId: string,
  lease: string,
): Promise<string | undefined> {
  const { rows } = await client.query<{ generation: string }>(
    'select generation::text from environments where id = $1 and lease = $2',
    [environmentId, lease],
  );
  return rows[0]?.generation;
}

/**
 * Node runs timers before it reads sockets: after a stall of this process (a suspended machine, a long garbage collection)
 * the answer may be here already, so sockets are read once more before the time counts as over.
 */
async function withTimeout<Result>(
  clock: Clock,
  promise: Promise<Result>,
  timeoutMs: number,
): Promise<Result> {
  let timer: Timer | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = clock.after(timeoutMs, () => {
      timer = clock.after(SOCKETS_READ_MS, () => reject(tooSlow()));
    });
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    timer?.cancel();
  }
}

function tooSlow(): BoughError {
  return new BoughError({
    code: 'store-slow',
    message: 'Postgres did not answer in time.',
    hint: 'Bough goes on by itself as soon as Postgres answers; see whether its machine is overloaded.',
    retryable: true,
  });
}
