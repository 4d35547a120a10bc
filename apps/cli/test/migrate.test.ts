import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { createTestDatabase, type TestDatabase } from '@bough/testkit/test-database';
import pg from 'pg';
import { afterEach, beforeEach, expect, test } from 'vitest';

const run = promisify(execFile);
const program = fileURLToPath(new URL('../bin/bough.js', import.meta.url));
let database: TestDatabase;

beforeEach(async () => {
  database = await createTestDatabase();
});
afterEach(() => database.drop());

const migrate = (url: string | undefined) =>
  run(process.execPath, [program, 'migrate', '--json'], {
    env: { PATH: process.env.PATH, HOME: process.env.HOME, DATABASE_URL: url },
    timeout: 30_000,
  });

test('an empty database gets everything, a current one nothing', async () => {
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  await client.query('drop schema public cascade; create schema public');
  expect(JSON.parse((await migrate(database.url)).stdout).applied).toContain('0001-spine.sql');
  const { rows } = await client.query('select count(*)::int as count from environments');
  await client.end();
  expect(rows).toEqual([{ count: 0 }]);
  expect(JSON.parse((await migrate(database.url)).stdout)).toEqual({ applied: [] });
});

test('without DATABASE_URL it says what to set', async () => {
  await expect(migrate(undefined)).rejects.toMatchObject({
    code: 1,
    stderr: expect.stringContaining('DATABASE_URL'),
  });
});
