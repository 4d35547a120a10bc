import { BoughError } from '@bough/domain/bough-error';
import type { Toolchain } from '@bough/toolchain/toolchain';
import { startEmbeddedRedis } from './embedded-redis.ts';
import { type BootLog, redactUrls } from './logger.ts';
import { redisVersion } from './redis-command.ts';

export interface QueueStoreOptions {
  /** `REDIS_URL`. When it is set nothing else is tried: a store that the operator chose is never replaced in silence. */
  readonly redisUrl?: string | undefined;
  /** Where BullMQ's own PostgreSQL backend keeps the queues when no Redis can be had. */
  readonly databaseUrl: string;
  /** `BOUGH_HOME/redis`. */
  readonly home: string;
  readonly toolchain: Toolchain;
  readonly log: BootLog;
  readonly signal?: AbortSignal | undefined;
}

export interface QueueStore {
  readonly kind: 'redis' | 'postgres';
  readonly url: string;
  readonly version: string | undefined;
  /** One sentence for people: what was chosen and what for. */
  readonly why: string;
  /** Settles when an embedded server dies although nobody stopped it. Never does for the others. */
  readonly died: Promise<void>;
  /** Ends what was started here; leaves alone what was not. */
  stop(): Promise<void>;
}

const never = new Promise<void>(() => {});

/** In this order: `REDIS_URL`, Redis or Valkey on PATH, Debian's Redis unpacked, the PostgreSQL that is there anyway. */
export async function openQueueStore(options: QueueStoreOptions): Promise<QueueStore> {
  if (options.redisUrl !== undefined) return openGiven(options.redisUrl);
  try {
    return await openEmbedded(options);
  } catch (error) {
    options.signal?.throwIfAborted();
    const reason = error instanceof Error ? error.message : String(error);
    options.log.warn({ err: error }, 'no redis can be had, queues go to postgres');
    return {
      kind: 'postgres',
      url: options.databaseUrl,
      version: undefined,
      why: `PostgreSQL, because no Redis can be had here: ${reason} One worker process only.`,
      died: never,
      stop: async () => {},
    };
  }
}

async function openEmbedded(options: QueueStoreOptions): Promise<QueueStore> {
  const { home, toolchain, log, signal } = options;
  const isInstalled = (await toolchain.probe('redis')) === 'installed';
  const redis = await startEmbeddedRedis({ home, toolchain, log, signal });
  const origin = isInstalled
    ? "this machine's redis-server"
    : "Debian's redis-server, unpacked under BOUGH_HOME";
  const why = `Redis ${redis.version}: ${origin}, started by Bough.`;
  return {
    kind: 'redis',
    url: redis.url,
    version: redis.version,
    why,
    died: redis.died,
    stop: () => redis.stop(),
  };
}

const oldestMajor = 5;

async function openGiven(url: string): Promise<QueueStore> {
  const shown = redactUrls(url);
  const version = await redisVersion(url).catch((cause: unknown) => {
    throw new BoughError({
      code: 'redis-unreachable',
      message: `REDIS_URL names ${shown}, which does not answer: ${cause instanceof Error ? cause.message : cause}.`,
      hint: 'Start that server or correct the URL; without REDIS_URL Bough starts a Redis of its own.',
      retryable: true,
      cause,
    });
  });
  if (Number.parseInt(version, 10) < oldestMajor) {
    throw new BoughError({
      code: 'redis-too-old',
      message: `REDIS_URL names ${shown}, which is Redis ${version}; the queues need 5 or newer, 6.2 at best.`,
      hint: 'Use a newer server; without REDIS_URL Bough starts a Redis of its own.',
    });
  }
  return {
    kind: 'redis',
    url,
    version,
    why: `Redis ${version}, as REDIS_URL says.`,
    died: never,
    stop: async () => {},
  };
}
