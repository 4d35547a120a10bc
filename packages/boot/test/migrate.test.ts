import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createTempHome, type TempHome } from '@bough/testkit/temp-home';
import { createTestDatabase, migrationsDirectory, type TestDatabase } from '@bough/testkit/test-database';
import pg from 'pg';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { migrate } from '../src/migrate.ts';

let home: TempHome;
let database: TestDatabase;
let client: pg.Client;

beforeEach(async () => {
  home = await createTempHome('migrations');
  database = await createTestDatabase();
  client = new pg.Client({ connectionString: database.url });
  await client.connect();
  await client.query('drop schema public cascade; create schema public');
});
afterEach(async () => {
  await client.end();
  await database.drop();
  await home.remove();
});

const write = (name: string, sql: string) => writeFile(join(home.path, name), sql);
const run = () => migrate({ url: database.url, directory: home.path });

test('applies the files in order, once', async () => {
  await write('0002-fill.sql', 'insert into things values (1);');
  await write('0001-things.sql', 'create table things (id int); create index on things (id);');
  await write('schema.sql', 'not a migration');
  expect(await run()).toEqual(['0001-things.sql', '0002-fill.sql']);
  expect(await run()).toEqual([]);
  await write('0003-more.sql', 'insert into things values (2);');
  expect(await run()).toEqual(['0003-more.sql']);
  expect((await client.query('select id from things order by id')).rows).toEqual([{ id: 1 }, { id: 2 }]);
});

test('of several starters one applies and the others find it done', async () => {
  await write('0001-things.sql', 'create table things (id int); select pg_sleep(0.2);');
  const results = await Promise.all(Array.from({ length: 5 }, run));
  expect(results.flat()).toEqual(['0001-things.sql']);
});

test('a failing migration is undone whole and named with its line', async () => {
  await write('0001-good.sql', 'create table good (id int);');
  await write('0002-bad.sql', 'create table half (id int);\n\ninsert into nowhere values (1);\n');
  await expect(run()).rejects.toMatchObject({
    code: 'migration-failed',
    message: expect.stringContaining('0002-bad.sql:3 failed: relation "nowhere" does not exist'),
  });
  const { rows } = await client.query(
    "select to_regclass('half') as half, to_regclass('good')::text as good",
  );
  expect(rows[0]).toEqual({ half: null, good: 'good' });
  await write('0002-bad.sql', 'create table half (id int);');
  expect(await run()).toEqual(['0002-bad.sql']);
});

test('refuses a database that a newer version has migrated', async () => {
  await write('0001-things.sql', 'create table things (id int);');
  await write('0002-newer.sql', 'alter table things add name text;');
  await run();
  await rm(join(home.path, '0002-newer.sql'));
  await expect(run()).rejects.toMatchObject({
    code: 'database-newer',
    message: expect.stringContaining('0002-newer.sql'),
  });
});

test.each([['1-short.sql'], ['0001-Upper.sql'], ['0001-again.sql']])('refuses the name %s', async (name) => {
  await write('0001-things.sql', 'select 1;');
  await write(name, 'select 1;');
  await expect(run()).rejects.toMatchObject({ code: 'migration-misnamed' });
});

test("Bough's own migrations apply to an empty database", async () => {
  const applied = await migrate({ url: database.url, directory: migrationsDirectory });
  expect(applied.length).toBeGreaterThan(0);
});

test('a database that does not answer is named without its password', async () => {
  const answer = migrate({ url: 'postgres://bough:hush@127.0.0.1:1/shop', directory: home.path });
  await expect(answer).rejects.toMatchObject({
    code: 'database-unreachable',
    message: expect.stringMatching(
      /^The database "shop" at 127\.0\.0\.1:1 cannot be used as bough: (?!.*hush)/,
    ),
  });
});
