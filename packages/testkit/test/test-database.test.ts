import { redisCommand } from '@bough/boot/redis-command';
import pg from 'pg';
import { expect, inject, test } from 'vitest';
import { createTestDatabase } from '../src/test-database.ts';
import { createTestRedis } from '../src/test-redis.ts';

async function ask(url: string, text: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(text)).rows;
  } finally {
    await client.end();
  }
}

const names = "select datname from pg_database where datname like 'test\\_%'";

test('gives each test file a migrated database of its own and takes it back', async () => {
  const [one, other] = await Promise.all([createTestDatabase(), createTestDatabase()]);
  const migrations = await ask(one.url, 'select name from migrations order by name');
  expect(migrations[0]?.name).toMatch(/^0001-/);
  await ask(one.url, 'create table only_here (id int)');
  await expect(ask(other.url, 'select * from only_here')).rejects.toThrow(/does not exist/);
  await Promise.all([one.drop(), other.drop()]);
  const left = (await ask(inject('boughPostgresUrl'), names)).map((row) => `/${row.datname}`);
  expect(left).not.toContain(new URL(one.url).pathname);
});

test('fails a test that leaves a connection open, and still drops the database', async () => {
  const database = await createTestDatabase();
  const forgotten = new pg.Client({ connectionString: database.url, application_name: 'forgetful' });
  forgotten.on('error', () => {});
  await forgotten.connect();
  await expect(database.drop()).rejects.toThrow(/connections to the test database.*forgetful/s);
  const left = (await ask(inject('boughPostgresUrl'), names)).map((row) => `/${row.datname}`);
  expect(left).not.toContain(new URL(database.url).pathname);
});

test('gives each test file an empty Redis database of its own', async () => {
  const [one, other] = await Promise.all([createTestRedis(), createTestRedis()]);
  expect(one.url).not.toBe(other.url);
  await redisCommand(one.url, ['SET', 'key', 'value']);
  expect(await redisCommand(one.url, ['DBSIZE'])).toBe('1');
  expect(await redisCommand(other.url, ['DBSIZE'])).toBe('0');
  await one.drop();
  expect(await redisCommand(one.url, ['DBSIZE'])).toBe('0');
  await other.drop();
});
