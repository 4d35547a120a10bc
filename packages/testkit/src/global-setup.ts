import type { TestProject } from 'vitest/node';
import { compilePrograms } from './compiled-programs.ts';
import { moveToMemory } from './memory-directory.ts';
import { removeAbandonedHomes } from './temp-home.ts';
import { startTestPostgres } from './test-database.ts';
import { startTestRedis, type TestRedisServer } from './test-redis.ts';

/**
 * One Postgres, one Redis and compiled programs for a whole run of the `integration` project; test files get databases of
 * their own.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  await removeAbandonedHomes();
  const memory = await moveToMemory();
  const programs = await compilePrograms();
  const postgres = await startTestPostgres();
  project.provide('boughPostgresUrl', postgres.url);
  const redis = await startTestRedis().catch((error: unknown) => String(error));
  project.provide('boughRedis', typeof redis === 'string' ? { missing: redis } : { url: redis.url });
  return async () => {
    if (isServer(redis)) await redis.stop();
    await postgres.stop();
    await programs.remove();
    await memory.remove();
  };
}

function isServer(redis: TestRedisServer | string): redis is TestRedisServer {
  return typeof redis !== 'string';
}
