import type { Clock, Timer } from '@bough/domain/clock';
import type { Backend, RunJob } from './backend.ts';
import type { JobData, Key } from './job.ts';
import type { QueueLog } from './queue.ts';
import { seldom } from './seldom.ts';

/** `again`: look once more after the delay. An enqueue of the key in the meantime is looked at when it comes. */
export type Outcome = { readonly kind: 'done' } | { readonly kind: 'again'; readonly delayMs: number };

/**
 * Makes the world match what the key names. The signal aborts when this process lost its hold on the key (another may
 * have it by now) or is told to stop; what is thrown then is expected.
 */
export type Handler = (key: Key, signal: AbortSignal) => Promise<Outcome>;

export interface Consumer {
  /** Takes nothing new, lets running handlers end, aborts those that still run after the time. */
  close(options: { timeoutMs: number }): Promise<void>;
}

export interface StallTimes {
  readonly lockMs: number;
  readonly checkMs: number;
}

interface ConsumerOptions {
  readonly name: string;
  readonly handler: Handler;
  readonly concurrency: number;
  readonly stall: StallTimes;
  readonly log: QueueLog;
  readonly backend: Backend;
  readonly clock: Clock;
  readonly again: (key: Key, delayMs: number) => Promise<void>;
}

/** A crash is not the job's fault: it is handed out again however often its process died. */
const maxStalledCount = 1_000_000;
const abortGraceMs = 3_000;

export function createConsumer(options: ConsumerOptions): Consumer {
  const running = new Map<string, AbortController>();
  const backoff = createBackoff();
  let closing = false;

  const run: RunJob = async ({ id = '', data }) => {
    if (data.delayed)
      return untilStored(
        () => options.again(data.key, 0),
        () => closing,
        options,
      );
    const controller = new AbortController();
    running.set(id, controller);
    try {
      const outcome = await handle(data, controller.signal);
      if (outcome.kind === 'again') {
        const delayMs = closing ? 0 : outcome.delayMs;
        const hopeless = () => controller.signal.aborted || closing;
        await untilStored(() => options.again(data.key, delayMs), hopeless, options);
      }
    } finally {
      running.delete(id);
    }
  };

  async function handle({ key }: JobData, signal: AbortSignal): Promise<Outcome> {
    try {
      const outcome = await options.handler(key, signal);
      backoff.forget(key);
      return outcome;
    } catch (error) {
      // Somebody else may have the key, or the store lost it: a look too many heals both.
      if (signal.aborted) return { kind: 'again', delayMs: 0 };
      const delayMs = backoff.next(key);
      options.log.error({ err: error, queue: options.name, key, delayMs }, 'handler failed, looking again');
      return { kind: 'again', delayMs };
    }
  }

  const worker = options.backend.worker(options.name, run, {
    concurrency: options.concurrency,
    lockDuration: options.stall.lockMs,
    stalledInterval: options.stall.checkMs,
    maxStalledCount,
    runRetryDelay: 1_000,
  });
  // A lost lock does not stop the run by itself, and somebody else may hold the key now.
  worker.on('lockRenewalFailed', (ids: string[]) => {
    for (const id of ids) running.get(id)?.abort(new Error('the queue gave this key to another process'));
  });
  worker.on(
    'error',
    seldom((error, suppressed) =>
      options.log.warn({ err: error, queue: options.name, suppressed }, 'queue worker reported an error'),
    ),
  );

  return {
    async close({ timeoutMs }) {
      closing = true;
      const closed = worker.close();
      if (await settlesWithin(options.clock, closed, timeoutMs)) return;
      for (const controller of running.values()) controller.abort(new Error('this process is stopping'));
      // What ignores its signal is left to the lock: it expires, and another process is handed the key.
      if (await settlesWithin(options.clock, closed, abortGraceMs)) return;
      options.log.warn({ queue: options.name, running: running.size }, 'handlers ignored their signal');
    },
  };
}

/**
 * The next look must be stored before this job ends, or it would be lost with the job. When that is hopeless the job
 * must not end well either: it throws, and whether or not the queue store hears of it, resync finds the row.
 */
async function untilStored(
  store: () => Promise<void>,
  hopeless: () => boolean,
  { clock, log, name }: Pick<ConsumerOptions, 'clock' | 'log' | 'name'>,
): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await store();
    } catch (error) {
      if (hopeless()) throw error;
      if (attempt === 1) log.warn({ err: error, queue: name }, 'next look not stored yet');
      await clock.sleep(Math.min(attempt * 250, 2_000));
    }
  }
}

async function settlesWithin(clock: Clock, work: Promise<unknown>, timeoutMs: number): Promise<boolean> {
  let timer: Timer | undefined;
  const late = new Promise<false>((resolve) => {
    timer = clock.after(timeoutMs, () => resolve(false));
  });
  const settled = work.then(
    () => true,
    () => true,
  );
  const inTime = await Promise.race([settled, late]);
  timer?.cancel();
  return inTime;
}

const backoffMaxMs = 60_000;
const backoffKeysMax = 10_000;

/** 1, 2, 4 … 60 s per key. Only for what a handler did not decide itself; those retries are counted in the row. */
function createBackoff(): { next(key: Key): number; forget(key: Key): void } {
  const failures = new Map<Key, number>();
  return {
    next(key) {
      if (failures.size >= backoffKeysMax) failures.clear();
      const count = failures.get(key) ?? 0;
      failures.set(key, count + 1);
      return Math.min(1_000 * 2 ** Math.min(count, 10), backoffMaxMs);
    },
    forget: (key) => void failures.delete(key),
  };
}
