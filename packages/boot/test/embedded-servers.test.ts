import { readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { assertNothingLeft, processesOf } from '@bough/testkit/leaks';
import { createTempHome, type TempHome } from '@bough/testkit/temp-home';
import { testToolchain, testToolchainHome } from '@bough/testkit/test-toolchain';
import { waitFor } from '@bough/testkit/wait-for';
import pg from 'pg';
import { afterAll, afterEach, beforeEach, expect, test } from 'vitest';
import { startEmbeddedPostgres } from '../src/embedded-postgres.ts';
import { startEmbeddedRedis } from '../src/embedded-redis.ts';
import { redisCommand } from '../src/redis-command.ts';
import { boot, canBecome, giveHome, quiet, scriptFile, type Who } from './embedded.ts';

let home: TempHome;
beforeEach(async () => {
  home = await createTempHome('boot');
});
afterEach(async () => {
  await assertNothingLeft({ path: home.path });
  await home.remove();
});
afterAll(() => rm(scriptFile, { force: true }));

async function ask(url: string, text: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000 });
  client.on('error', () => {});
  await client.connect();
  try {
    return (await client.query(text)).rows;
  } finally {
    await client.end();
  }
}

const nobody: Who = { uid: 65_534, gid: 65_534 };
const users: [string, Who][] = [['this user', {}]];
if (await canBecome(nobody)) users.push(['nobody', nobody]);

test.each(users)('as %s: starts, survives kill -9, is adopted with its data, stops whole', async (_, who) => {
  const place = who.uid === undefined ? home.path : await giveHome(home.path, who);
  const tools = who.uid === undefined ? await testToolchainHome() : join(place, 'toolchains');
  const first = await boot(place, tools, who);
  const { postgres, redis } = first.started;
  await ask(postgres.url, "create table kept as select 'here' as what");
  await redisCommand(redis.url, ['SET', 'kept', 'here']);

  await first.end('SIGKILL');
  // They go on without their parent.
  expect((await ask(postgres.url, 'select what from kept'))[0]).toEqual({ what: 'here' });

  const second = await boot(place, tools, who);
  expect(second.started).toMatchObject({
    postgres: { url: postgres.url, port: postgres.port, wasAdopted: true },
    redis: { url: redis.url, port: redis.port, wasAdopted: true },
  });
  expect(await redisCommand(redis.url, ['GET', 'kept'])).toBe('here');
  expect(await second.end('SIGTERM')).toBe(0);
  await assertNothingLeft({ path: place });

  const third = await boot(place, tools, who);
  // The same addresses, so that what remembers them goes on.
  expect(third.started).toMatchObject({
    postgres: { url: postgres.url, wasAdopted: false },
    redis: { url: redis.url, wasAdopted: false },
  });
  expect((await ask(postgres.url, 'select what from kept'))[0]).toEqual({ what: 'here' });
  expect(await redisCommand(redis.url, ['GET', 'kept'])).toBe('here');
  expect(await third.end('SIGTERM')).toBe(0);
});

test('postgres asks for its password, listens on loopback only and keeps its files private', async () => {
  const toolchain = await testToolchain();
  const place = join(home.path, 'postgres');
  const postgres = await startEmbeddedPostgres({ home: place, toolchain, log: quiet });
  try {
    const wrong = new URL(postgres.url);
    wrong.password = 'wrong';
    await expect(ask(wrong.toString(), 'select 1')).rejects.toThrow(/password authentication failed/);
    const settings = await ask(
      postgres.url,
      `select current_setting('listen_addresses') as listen, current_setting('unix_socket_directories') as sockets,
              current_setting('max_connections') as connections, current_setting('password_encryption') as scheme`,
    );
    expect(settings[0]).toEqual({
      listen: '127.0.0.1',
      sockets: '',
      connections: '200',
      scheme: 'scram-sha-256',
    });
    expect((await stat(place)).mode & 0o077).toBe(0);
    expect((await stat(join(place, 'password'))).mode & 0o077).toBe(0);
    const password = (await readFile(join(place, 'password'), 'utf8')).trim();
    const commands = (await processesOf({ path: home.path })).map((found) => found.command);
    expect(commands.join('\n')).not.toContain(password);
    expect(postgres.version).toMatch(/^17\.\d+$/);
  } finally {
    await postgres.stop();
  }
});

test('redis asks for its password, never evicts and hides the password from the process list', async () => {
  const redis = await startEmbeddedRedis({ home: home.path, toolchain: await testToolchain(), log: quiet });
  try {
    const open = new URL(redis.url);
    open.password = '';
    await expect(redisCommand(open.toString(), ['PING'])).rejects.toThrow(/NOAUTH/);
    expect(await redisCommand(redis.url, ['INFO', 'memory'])).toContain('maxmemory_policy:noeviction');
    expect(await redisCommand(redis.url, ['INFO', 'persistence'])).toContain('aof_enabled:1');
    const password = (await readFile(join(home.path, 'password'), 'utf8')).trim();
    const commands = (await processesOf({ path: home.path })).map((found) => found.command);
    expect(commands.join('\n')).not.toContain(password);
  } finally {
    await redis.stop();
  }
});

test('takes another port when somebody sits on the last one', async () => {
  const toolchain = await testToolchain();
  const options = { home: home.path, toolchain, log: quiet, isDurable: false };
  const first = await startEmbeddedPostgres(options);
  await first.stop();
  const squatter = await listen(first.port);
  const second = await startEmbeddedPostgres(options);
  try {
    expect(second.port).not.toBe(first.port);
    expect(await ask(second.url, 'select 1 as one')).toEqual([{ one: 1 }]);
  } finally {
    await second.stop();
    await new Promise((resolve) => squatter.close(resolve));
  }
});

function listen(port: number): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => resolve(server));
  });
}

test('starts beside the pid file of a process that is somebody else by now', async () => {
  const toolchain = await testToolchain();
  const options = { home: home.path, toolchain, log: quiet, isDurable: false };
  const first = await startEmbeddedPostgres(options);
  const pidFile = join(home.path, 'data/postmaster.pid');
  const lines = (await readFile(pidFile, 'utf8')).split('\n');
  await first.stop();
  // As after a power cut and a reboot: the file is still there and its pid is ours.
  await writeFile(pidFile, [String(process.pid), ...lines.slice(1)].join('\n'));
  const second = await startEmbeddedPostgres(options);
  expect(second.wasAdopted).toBe(false);
  await second.stop();
});

test('says when a server dies that nobody stopped, and starts again from what was committed', async () => {
  const toolchain = await testToolchain();
  const first = await startEmbeddedPostgres({ home: home.path, toolchain, log: quiet });
  await ask(first.url, 'create table committed (id int)');
  const pid = Number((await readFile(join(home.path, 'data/postmaster.pid'), 'utf8')).split('\n')[0]);
  process.kill(pid, 'SIGKILL');
  await first.died;
  const second = await startEmbeddedPostgres({ home: home.path, toolchain, log: quiet });
  expect(await ask(second.url, 'select count(*)::int as rows from committed')).toEqual([{ rows: 0 }]);
  await second.stop();
});

test('a stop is no death, and ends open sessions', async () => {
  const toolchain = await testToolchain();
  const postgres = await startEmbeddedPostgres({ home: home.path, toolchain, log: quiet, isDurable: false });
  let hasDied = false;
  void postgres.died.then(() => {
    hasDied = true;
  });
  const client = new pg.Client({ connectionString: postgres.url });
  let lost: Error | undefined;
  client.on('error', (error) => {
    lost = error;
  });
  await client.connect();
  await client.query('begin');
  await postgres.stop();
  await waitFor('the session to end', () => lost !== undefined);
  expect(hasDied).toBe(false);
  await client.end().catch(() => undefined);
});

test('an aborted start leaves no server', async () => {
  const toolchain = await testToolchain();
  const controller = new AbortController();
  const starting = startEmbeddedPostgres({
    home: home.path,
    toolchain,
    log: quiet,
    signal: controller.signal,
  });
  await waitFor('initdb to run', async () => (await processesOf({ path: home.path })).length > 0);
  controller.abort();
  await expect(starting).rejects.toThrow();
  await assertNothingLeft({ path: home.path });
  // And the half-made data directory does not trouble the next start.
  const postgres = await startEmbeddedPostgres({ home: home.path, toolchain, log: quiet, isDurable: false });
  await postgres.stop();
});
