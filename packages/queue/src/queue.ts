import { BoughError } from '@bough/domain/bough-error';
import { type Clock, systemClock, type Timer } from '@bough/domain/clock';
import { type Backend, createBackend, type QueueConnection } from './backend.ts';
import { type Consumer, createConsumer, type Handler, type StallTimes } from './consumer.ts';
import { type DelayedReason, delayedJob, immediateJob, type Key } from './job.ts';

/**
 * Work to look at, by key. A job says *that* something must be looked at, never what is to be done: its whole data is
 * the key, and the handler reads the state from the store.
 *
 * - An enqueue while the key waits is the same look; an enqueue while the key is being handled gives exactly one more
 *   run, at once, when the running one has ended. Nothing is lost in between.
 * - Two runs of one key do not overlap as long as no process loses its lock. A process that was frozen may lose it, so
 *   mutual exclusion proper is the store's advisory lock, not the queue.
 * - Each key has at most one delayed look of each reason (`again`: the handler asked for it; `later`: somebody else
 *   did), and the newest time replaces the former. When it is due it becomes an ordinary enqueue. Delayed looks have a
 *   deduplication of their own: were they in the same one, a look asked for at once could be overwritten by a delay.
 * - A job never fails: retries are counted in the row that the key names, and a run that throws is run again.
 */
export interface Queues {
  /** Durable when it resolves. BoughError `queue-unavailable` within two seconds when the store cannot be reached. */
  enqueue(name: QueueName, key: Key, options?: EnqueueOptions): Promise<void>;
  consume(name: QueueName, handler: Handler, options: { concurrency: number }): Consumer;
  /** Enqueues the key now and every `intervalMs` until stopped. Several processes may do so: equal keys are one look. */
  every(name: QueueName, key: Key, intervalMs: number): { stop(): void };
  counts(): Promise<Record<QueueName, QueueCounts>>;
  /** Consumers are closed first, by whoever made them. */
  close(): Promise<void>;
}

export const queueNames = ['observe', 'reconcile', 'wake', 'feedback', 'data', 'rehearse', 'resync'] as const;
export type QueueName = (typeof queueNames)[number];

export interface EnqueueOptions {
  readonly delayMs?: number;
  /** Bounds a delay that is asked for again and again: the look is never put off beyond this moment. */
  readonly notLaterThan?: Date;
}

export interface QueueCounts {
  readonly waiting: number;
  readonly active: number;
  readonly delayed: number;
  readonly failed: number;
}

/** The part of a logger that is used here; pino's fits. */
export interface QueueLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export interface QueueOptions {
  readonly connection: QueueConnection;
  /** Installation id: two installations on one queue store never see each other's keys. */
  readonly prefix: string;
  readonly log: QueueLog;
  /** How soon the job of a dead process is handed out again. Tests shorten it. */
  readonly stall?: StallTimes;
}

const enqueueTimeoutMs = 2_000;
const startTimeoutMs = 8_000;

/** A lock of 10 s, checked every 5 s: measured, the job of a killed process is handed out again after 9 to 19 s. */
const defaultStall: StallTimes = { lockMs: 10_000, checkMs: 5_000 };

/** Connects first: a queue store that is down at start is an error at once, not a process that looks healthy. */
export function createQueues(options: QueueOptions): Promise<Queues> {
  return createQueuesOn(createBackend(options), options);
}

/** The same on a given backend, with a given clock: for a simulation. */
export async function createQueuesOn(
  backend: Backend,
  options: Pick<QueueOptions, 'log' | 'stall'> & { readonly clock?: Clock },
): Promise<Queues> {
  const clock = options.clock ?? systemClock;
  const within = <Result>(timeoutMs: number, work: Promise<Result>) => withinTime(clock, timeoutMs, work);
  const queues = new Map(queueNames.map((name) => [name, backend.queue(name)]));
  try {
    for (const queue of queues.values()) await within(startTimeoutMs, queue.waitUntilReady());
  } catch (error) {
    await backend.close().catch(() => {});
    throw unavailable(error);
  }

  async function enqueue(name: QueueName, key: Key, asked: EnqueueOptions = {}): Promise<void> {
    const delayMs = effectiveDelay(clock, asked);
    await add(name, key, delayMs, 'later');
  }

  async function add(name: QueueName, key: Key, delayMs: number, reason: DelayedReason): Promise<void> {
    const job = delayMs > 0 ? delayedJob(key, delayMs, reason) : immediateJob(key);
    try {
      await within(enqueueTimeoutMs, Promise.resolve(queues.get(name)?.add('look', job.data, job.options)));
    } catch (error) {
      throw unavailable(error);
    }
  }

  return {
    enqueue,
    consume: (name, handler, { concurrency }) =>
      createConsumer({
        name,
        handler,
        concurrency,
        stall: options.stall ?? defaultStall,
        log: options.log,
        backend,
        clock,
        again: (key, delayMs) => add(name, key, delayMs, 'again'),
      }),
    every: (name, key, intervalMs) => startTimer(clock, intervalMs, () => enqueue(name, key), options.log),
    async counts() {
      const counted = [...queues].map(async ([name, queue]) => {
        const states = await queue.getJobCounts('waiting', 'active', 'delayed', 'failed');
        const { waiting = 0, active = 0, delayed = 0, failed = 0 } = states;
        return [name, { waiting, active, delayed, failed }] as const;
      });
      return Object.fromEntries(await within(enqueueTimeoutMs, Promise.all(counted))) as Record<
        QueueName,
        QueueCounts
      >;
    },
    close: () => backend.close(),
  };
}

function effectiveDelay(clock: Clock, { delayMs = 0, notLaterThan }: EnqueueOptions): number {
  return notLaterThan === undefined
    ? delayMs
    : Math.min(delayMs, notLaterThan.getTime() - clock.now().getTime());
}

function startTimer(
  clock: Clock,
  intervalMs: number,
  tick: () => Promise<void>,
  log: QueueLog,
): { stop(): void } {
  let timer: Timer;
  const look = () => {
    timer = clock.after(intervalMs, look, { background: true });
    void tick().catch((error: unknown) => log.warn({ err: error }, 'recurring look not enqueued'));
  };
  look();
  return { stop: () => timer.cancel() };
}

function unavailable(cause: unknown): BoughError {
  return new BoughError({
    code: 'queue-unavailable',
    message: 'The queue store does not answer.',
    hint: 'Check that the server behind REDIS_URL (or the embedded one: `bough doctor`) is running; nothing is lost, Bough tries again by itself.',
    retryable: true,
    cause,
  });
}

async function withinTime<Result>(clock: Clock, timeoutMs: number, work: Promise<Result>): Promise<Result> {
  let timer: Timer | undefined;
  const deadline = new Promise<never>((_, reject) => {
    timer = clock.after(timeoutMs, () => reject(new Error(`no answer within ${timeoutMs} ms`)));
  });
  try {
    return await Promise.race([work, deadline]);
  } finally {
    timer?.cancel();
  }
}
