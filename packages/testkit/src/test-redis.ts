import { join } from 'node:path';
import { startEmbeddedRedis } from '@bough/boot/embedded-redis';
import { redisCommand } from '@bough/boot/redis-command';
import { inject } from 'vitest';
import { createTempHome } from './temp-home.ts';
import { testToolchain } from './test-toolchain.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** The Redis that the whole run shares, or why there is none. */
    boughRedis: { url: string } | { missing: string };
  }
}

export interface TestRedisServer {
  readonly url: string;
  stop(): Promise<void>;
}

/** A server of its own in a temporary home. */
export async function startTestRedis(): Promise<TestRedisServer> {
  const home = await createTempHome('redis');
  const log = { info: () => {}, warn: () => {} };
  try {
    const toolchain = await testToolchain();
    const redis = await startEmbeddedRedis({ home: join(home.path, 'redis'), toolchain, log });
    return {
      url: redis.url,
      async stop() {
        await redis.stop();
        await home.remove();
      },
    };
  } catch (error) {
    await home.remove();
    throw error;
  }
}

export interface TestRedis {
  /** Names a database of the server that nobody else uses now: `redis://:…@127.0.0.1:1234/3`. */
  readonly url: string;
  /** Empties the database and gives it back. */
  drop(): Promise<void>;
}

/** As many as the embedded server has, without the first, in which it is noted who uses which. */
const lastDatabase = 15;

/** An empty database for one test file. Needs the `integration` project, whose global set-up starts the server. */
export async function createTestRedis(serverUrl: string = sharedServer()): Promise<TestRedis> {
  for (let database = 1; database <= lastDatabase; database += 1) {
    const claim = await redisCommand(serverUrl, ['SET', `claimed:${database}`, String(process.pid), 'NX']);
    if (claim !== 'OK') continue;
    const url = `${serverUrl}/${database}`;
    await redisCommand(url, ['FLUSHDB']);
    return {
      url,
      async drop() {
        await redisCommand(url, ['FLUSHDB']);
        await redisCommand(serverUrl, ['DEL', `claimed:${database}`]);
      },
    };
  }
  throw new Error(`all ${lastDatabase} test databases of Redis are in use: does a test not call drop()?`);
}

function sharedServer(): string {
  const shared = inject('boughRedis');
  if ('url' in shared) return shared.url;
  throw new Error(`there is no Redis for tests: ${shared.missing}`);
}
