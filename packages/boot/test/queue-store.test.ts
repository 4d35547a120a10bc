import { join } from 'node:path';
import { assertNothingLeft } from '@bough/testkit/leaks';
import { createTempHome, type TempHome } from '@bough/testkit/temp-home';
import { createTestRedis } from '@bough/testkit/test-redis';
import { testToolchain } from '@bough/testkit/test-toolchain';
import { createToolchain } from '@bough/toolchain/toolchain';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openQueueStore } from '../src/queue-store.ts';
import { redisCommand } from '../src/redis-command.ts';
import { quiet } from './embedded.ts';

const databaseUrl = 'postgres://bough:secret@127.0.0.1:1/bough';

let home: TempHome;
beforeEach(async () => {
  home = await createTempHome('queue-store');
});
afterEach(async () => {
  await assertNothingLeft({ path: home.path });
  await home.remove();
});

test('REDIS_URL comes first and is left alone', async () => {
  const given = await createTestRedis();
  const store = await openQueueStore({
    redisUrl: given.url,
    databaseUrl,
    home: home.path,
    toolchain: await testToolchain(),
    log: quiet,
  });
  expect(store).toMatchObject({ kind: 'redis', url: given.url, why: expect.stringContaining('REDIS_URL') });
  await store.stop();
  expect(await redisCommand(given.url, ['PING'])).toBe('PONG');
  await given.drop();
});

test('a REDIS_URL that does not answer is an error, not a reason to use something else', async () => {
  const redisUrl = 'redis://:hunter22@127.0.0.1:9';
  const options = { redisUrl, databaseUrl, home: home.path, toolchain: await testToolchain(), log: quiet };
  const error = await openQueueStore(options).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toMatchObject({ code: 'redis-unreachable', message: expect.stringContaining('127.0.0.1:9') });
  expect(String(error)).not.toContain('hunter22');
});

test('without one a server of our own is started, and stopped', async () => {
  const store = await openQueueStore({
    databaseUrl,
    home: home.path,
    toolchain: await testToolchain(),
    log: quiet,
  });
  expect(store).toMatchObject({ kind: 'redis', why: expect.stringContaining('started by Bough') });
  expect(await redisCommand(store.url, ['PING'])).toBe('PONG');
  await store.stop();
  await expect(redisCommand(store.url, ['PING'])).rejects.toThrow();
});

test('where no Redis can be had the queues go to PostgreSQL, and it is said why', async () => {
  const toolchain = createToolchain({
    home: join(home.path, 'tools'),
    env: {},
    log: quiet,
    sources: ['npm'],
  });
  const store = await openQueueStore({ databaseUrl, home: join(home.path, 'redis'), toolchain, log: quiet });
  expect(store).toMatchObject({ kind: 'postgres', url: databaseUrl });
  expect(store.why).toMatch(/^PostgreSQL, because no Redis can be had here: redis cannot be had here/);
  await store.stop();
});
