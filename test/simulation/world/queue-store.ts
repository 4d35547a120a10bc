import type { Backend, BackendQueue, BackendWorker, RunJob } from '@bough/queue/backend';
import type { JobData } from '@bough/queue/job';
import type { JobsOptions } from 'bullmq';
import type { Calls } from '../calls.ts';
import { currentJob, type SimProcess } from '../process.ts';
import type { Random } from '../random.ts';
import type { Scheduler } from '../scheduler.ts';

/**
 * What BullMQ keeps in Redis, with the semantics that packages/queue relies on: one job for a deduplication id, an add
 * while it waits is nothing, while it is delayed it moves it (`reschedule`), while it is active it makes one more
 * (`keepLastIfActive`). The job of a dead process is handed out again when its lock has expired.
 */
export interface QueueStore {
  backend(process: SimProcess): Backend;
  /** Everything in it is gone; what runs goes on. */
  empty(): void;
  /** Adds fail until then. */
  goDown(ms: number): void;
  /** The lock of a running job expires although its process lives: somebody else is handed it too. */
  doubleOne(): string | undefined;
  /** The share of jobs that this happens to by itself. */
  setStalls(share: number): void;
  /** Jobs that wait, run or are delayed, but those of the timers. */
  busy(): string[];
}

interface StoredJob {
  readonly id: string;
  readonly queue: string;
  readonly data: JobData;
  readonly dedupId: string;
  state: 'waiting' | 'delayed' | 'active';
  dueAt: number;
  /** The run that has its lock: the end of an earlier one does not count. */
  run: number | undefined;
  holder: SimProcess | undefined;
}

interface Consumer {
  readonly process: SimProcess;
  readonly queue: string;
  readonly run: RunJob;
  readonly concurrency: number;
  readonly lockLost: ((ids: string[]) => void)[];
  running: number;
}

/** Locks last 10 s and are looked at every 5 s (packages/queue/src/queue.ts). */
const STALL_MS = [9_000, 19_000] as const;

export function createQueueStore(of: {
  scheduler: Scheduler;
  calls: Calls;
  random: Random;
  /** A mutation: an add while the key is handled is lost. */
  losesAddsWhileActive: boolean;
}): QueueStore {
  const { scheduler, calls, random } = of;
  const jobs = new Map<string, StoredJob>();
  const byDedup = new Map<string, StoredJob>();
  const next = new Map<string, { data: JobData; options: JobsOptions }>();
  const consumers: Consumer[] = [];
  let ids = 0;
  let runs = 0;
  let downUntil = 0;
  let stalls = 0;

  function add(queue: string, data: JobData, options: JobsOptions): void {
    const dedupId = `${queue} ${options.deduplication?.id ?? ''}`;
    const dueAt = scheduler.now() + (options.delay ?? 0);
    const present = byDedup.get(dedupId);
    if (present === undefined) {
      ids += 1;
      const isDelayed = (options.delay ?? 0) > 0;
      const job: StoredJob = {
        ...{ id: String(ids), queue, data, dedupId, dueAt, run: undefined, holder: undefined },
        state: isDelayed ? 'delayed' : 'waiting',
      };
      jobs.set(job.id, job);
      byDedup.set(dedupId, job);
      isDelayed ? wakeAt(job) : offer(job);
    } else if (present.state === 'active') {
      if (!of.losesAddsWhileActive) next.set(dedupId, { data, options });
    } else if (present.state === 'delayed') {
      present.dueAt = dueAt;
      wakeAt(present);
    }
  }

  function wakeAt(job: StoredJob): void {
    const due = job.dueAt;
    scheduler.at(due - scheduler.now(), null, () => {
      if (jobs.get(job.id) !== job || job.state !== 'delayed' || job.dueAt !== due) return;
      job.state = 'waiting';
      offer(job);
    });
  }

  function offer(job: StoredJob): void {
    scheduler.at(random.int(0, 3), null, () => {
      if (jobs.get(job.id) !== job || job.state !== 'waiting') return;
      const ready = consumers.filter(
        ({ process, queue, running, concurrency }) =>
          queue === job.queue && process.isAlive && running < concurrency,
      );
      if (ready.length === 0) return void scheduler.at(200, null, () => offer(job));
      start(job, random.pick(ready));
    });
  }

  function start(job: StoredJob, consumer: Consumer): void {
    const { process } = consumer;
    runs += 1;
    const run = runs;
    job.state = 'active';
    job.run = run;
    job.holder = process;
    consumer.running += 1;
    const at = { id: run, process, kind: job.queue, key: job.data.key };
    const end = () => {
      consumer.running -= 1;
      if (jobs.get(job.id) === job && job.run === run && job.state === 'active') finish(job);
    };
    process.onDeath.push(() => {
      if (job.run === run) stall(job, run);
    });
    if (random.chance(stalls)) scheduler.at(random.int(0, 1_500), null, () => void double(job, run));
    // A run that throws would be a failed job: kept for a while, never run again.
    void currentJob.run(at, () => consumer.run({ id: job.id, data: job.data })).then(end, end);
  }

  function finish(job: StoredJob): void {
    jobs.delete(job.id);
    byDedup.delete(job.dedupId);
    const kept = next.get(job.dedupId);
    if (kept === undefined) return;
    next.delete(job.dedupId);
    add(job.queue, kept.data, kept.options);
  }

  function stall(job: StoredJob, run: number): void {
    scheduler.at(random.int(...STALL_MS), null, () => {
      if (jobs.get(job.id) !== job || job.run !== run || job.state !== 'active') return;
      job.state = 'waiting';
      offer(job);
    });
  }

  /** The lock expires although the holder lives; it hears of it some time later. */
  function double(job: StoredJob, run: number): void {
    if (jobs.get(job.id) !== job || job.run !== run || job.state !== 'active') return;
    const loser = consumers.find(({ process, queue }) => process === job.holder && queue === job.queue);
    job.state = 'waiting';
    offer(job);
    scheduler.at(random.int(0, 3_000), null, () => {
      for (const listener of loser?.lockLost ?? []) listener([job.id]);
    });
  }

  function queueOf(process: SimProcess, name: string): BackendQueue {
    return {
      add: (_name: string, data: JobData, options: JobsOptions = {}) =>
        calls.call(
          process,
          `queue add ${name}`,
          () => {
            if (scheduler.now() < downUntil) throw new Error('connect ECONNREFUSED');
            add(name, data, options);
          },
          { takes: [0, 2] },
        ),
      getJobCounts: async () => ({}),
      waitUntilReady: async () => undefined,
      close: async () => {},
    } as unknown as BackendQueue;
  }

  function workerOf(process: SimProcess, name: string, run: RunJob, concurrency: number): BackendWorker {
    const lockLost: Consumer['lockLost'] = [];
    consumers.push({ process, queue: name, run, concurrency, lockLost, running: 0 });
    return {
      on(event: string, listener: (ids: string[]) => void) {
        if (event === 'lockRenewalFailed') lockLost.push(listener);
      },
      close: async () => {},
    } as unknown as BackendWorker;
  }

  return {
    backend: (process) => ({
      queue: (name) => queueOf(process, name),
      worker: (name, run, settings) => workerOf(process, name, run, settings.concurrency ?? 1),
      close: async () => {},
    }),
    empty() {
      jobs.clear();
      byDedup.clear();
      next.clear();
    },
    goDown(ms) {
      downUntil = scheduler.now() + ms;
    },
    doubleOne() {
      const active = [...jobs.values()].filter(
        (job) => job.state === 'active' && job.holder?.isAlive === true && job.queue !== 'resync',
      );
      if (active.length === 0) return undefined;
      const job = random.pick(active);
      double(job, job.run ?? 0);
      return `${job.queue} ${job.data.key}`;
    },
    setStalls(share) {
      stalls = share;
    },
    busy: () =>
      [...jobs.values()].filter((job) => job.queue !== 'resync').map((job) => `${job.queue} ${job.data.key}`),
  };
}
