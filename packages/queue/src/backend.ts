import { createPostgresBackend, Queue, Worker, type WorkerOptions } from 'bullmq';
import { Redis } from 'ioredis';
import type { JobData } from './job.ts';
import type { QueueLog } from './queue.ts';
import { seldom } from './seldom.ts';

/** Redis, or BullMQ's own tables in Postgres (for one worker process at modest load; schema `bullmq`). */
export type QueueConnection =
  | { readonly kind: 'redis'; readonly url: string }
  | { readonly kind: 'postgres'; readonly url: string };

export interface Backend {
  queue(name: string): BackendQueue;
  worker(name: string, run: RunJob, options: WorkerSettings): BackendWorker;
  close(): Promise<void>;
}

export type BackendQueue = Pick<Queue<JobData>, 'add' | 'getJobCounts' | 'waitUntilReady' | 'close'>;
export type BackendWorker = Pick<Worker<JobData>, 'on' | 'close'>;
export type RunJob = (job: { id?: string | undefined; data: JobData }) => Promise<void>;
export type WorkerSettings = Pick<
  WorkerOptions,
  'concurrency' | 'lockDuration' | 'stalledInterval' | 'maxStalledCount' | 'runRetryDelay'
>;

interface BackendOptions {
  readonly connection: QueueConnection;
  readonly prefix: string;
  readonly log: QueueLog;
}

export function createBackend(options: BackendOptions): Backend {
  return options.connection.kind === 'redis' ? redisBackend(options) : postgresBackend(options);
}

/** Keys in Redis start with this, then `<installation>-<queue>`; Postgres knows no key prefix, so the name carries it. */
const keyPrefix = 'bough';

const reconnectDelay = (attempt: number): number => Math.min(attempt * 100, 2_000);

function redisBackend({ connection, prefix, log }: BackendOptions): Backend {
  // Producers fail at once while Redis is away, instead of piling up commands: the caller must know that it is not stored.
  const producer = new Redis(connection.url, {
    maxRetriesPerRequest: 1,
    enableOfflineQueue: false,
    connectTimeout: 5_000,
    commandTimeout: 5_000,
    retryStrategy: reconnectDelay,
  });
  // Workers wait for it to come back; BullMQ asks for exactly this setting.
  const consumer = new Redis(connection.url, {
    maxRetriesPerRequest: null,
    connectTimeout: 5_000,
    retryStrategy: reconnectDelay,
    lazyConnect: true,
  });
  const complaint = complain(log);
  producer.on('error', complaint);
  consumer.on('error', complaint);
  const queues: BackendQueue[] = [];
  return {
    queue(name) {
      const queue = new Queue<JobData>(`${prefix}-${name}`, { connection: producer, prefix: keyPrefix });
      queue.on('error', complaint);
      queues.push(queue);
      return queue;
    },
    worker(name, run, settings) {
      const options = { ...settings, connection: consumer, prefix: keyPrefix };
      return new Worker<JobData>(`${prefix}-${name}`, run, options);
    },
    async close() {
      await Promise.allSettled(queues.map((queue) => queue.close()));
      producer.disconnect();
      consumer.disconnect();
    },
  };
}

function postgresBackend({ connection, prefix, log }: BackendOptions): Backend {
  // `max: 1`: with more, BullMQ's statements deadlocked under stress (measured).
  const settings = {
    connectionString: connection.url,
    migrate: true,
    max: 1,
    connectionTimeoutMillis: 5_000,
    keepAlive: true,
    application_name: 'bough queue',
  };
  const complaint = complain(log);
  const queues: BackendQueue[] = [];
  return {
    queue(name) {
      const queue = new Queue(
        `${prefix}-${name}`,
        { connection: settings },
        createPostgresBackend,
      ) as unknown as Queue<JobData>;
      queue.on('error', complaint);
      queues.push(queue);
      return queue;
    },
    worker(name, run, workerSettings) {
      const options = { ...workerSettings, connection: settings };
      return new Worker(
        `${prefix}-${name}`,
        run,
        options,
        createPostgresBackend,
      ) as unknown as Worker<JobData>;
    },
    async close() {
      await Promise.allSettled(queues.map((queue) => queue.close()));
    },
  };
}

function complain(log: QueueLog): (error: Error) => void {
  return seldom((error, suppressed) => log.warn({ err: error, suppressed }, 'queue store connection failed'));
}
