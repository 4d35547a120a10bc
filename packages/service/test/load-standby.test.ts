import { access } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Secret } from '@bough/domain/secret';
import { waitFor } from '@bough/testkit/wait-for';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findDumpTools } from '../src/postgresql/dump-tools.ts';
import { loadParallel } from '../src/postgresql/load-parallel.ts';
import { parseSourceUrl } from '../src/postgresql/parse-source-url.ts';
import { postgresql } from '../src/postgresql/service.ts';
import type { Address, Credentials, ServiceDeclaration, ServiceProgram } from '../src/service.ts';
import { query } from './query.ts';
import { createServiceRunner, type ServiceRunner } from './service-runner.ts';

const tools = await findDumpTools({ least: 14, target: 14 }).catch(() => undefined);
const bin = dirname(tools?.dump ?? '');
const baseBackup = join(bin, 'pg_basebackup');
const canMake =
  tools !== undefined &&
  (await Promise.all([access(baseBackup), access(join(bin, 'initdb'))]).then(
    () => true,
    () => false,
  ));
const title = canMake
  ? 'a standby as a source'
  : 'a standby as a source - SKIPPED: no pg_basebackup and initdb here';
const declaration: ServiceDeclaration = {
  name: 'database',
  type: 'postgresql',
  version: String(tools?.major ?? 15),
  configuration: {},
};
const login = { username: 'main', password: new Secret('unused') };

describe.skipIf(!canMake)(title, { timeout: 120_000 }, () => {
  let runner: ServiceRunner;
  let primary: Address;
  let standby: Address;
  let target: { address: Address; credentials: Credentials; declaration: ServiceDeclaration };
  const lines: string[] = [];

  /** A server as somebody else runs it. */
  const plain = (initialise: string, flags = ''): ServiceProgram => ({
    initialise,
    command: `exec ${bin}/postgres -D /data/pg -p "$PORT" -c listen_addresses=127.0.0.1 -c unix_socket_directories=/tmp -c fsync=off ${flags}`,
    env: { LC_ALL: 'C' },
    stopSignal: 'SIGINT',
    stopGraceMs: 10_000,
    limits: { memoryBytes: 2 ** 30, pids: 100, cpus: 1 },
  });
  const start = async (program: ServiceProgram): Promise<Address> => {
    const volume = await runner.volume();
    const { address } = await runner.start({ toolchain: postgresql.toolchain(declaration), program, volume });
    await waitFor('the server', () => ask(address, 'select 1 as one').catch(() => undefined), {
      timeoutMs: 60_000,
    });
    return address;
  };
  const ask = (address: Address, sql: string) =>
    query<Record<string, unknown>>(address, login, 'postgres', sql);
  const load = async (from: Address, standbyOnly: boolean) =>
    await postgresql.load?.(
      {
        kind: 'url',
        url: new Secret(`postgresql://main:x@127.0.0.1:${from.port}/postgres`),
        standby: standbyOnly,
      },
      target,
      { signal: AbortSignal.timeout(60_000), line: (text) => lines.push(text) },
    );

  /** By several connections, which share a snapshot that a standby exports too. */
  async function loadInParts(): Promise<void> {
    const { address, credentials } = target;
    const places: string[] = [];
    const found = await findDumpTools({ least: 14, target: 14 });
    await loadParallel(parseSourceUrl(`postgresql://main:x@127.0.0.1:${standby.port}/postgres`, 'database'), {
      tools: found,
      target: {
        ...{ service: 'database', major: found.major, database: 'main', ...address },
        ...{ user: credentials.username, password: credentials.password.reveal() },
      },
      meter: { take: async () => {}, at: (place) => places.push(place), done() {} },
      ...{ connections: 2, sourceMajor: found.major, partBytes: 8192 * 2 },
      ...{ signal: AbortSignal.timeout(60_000), line: () => {} },
    });
    expect(places.length).toBeGreaterThan(3);
  }
  async function countPeople(): Promise<string | undefined> {
    const sql = 'select count(*) as n from people';
    const [found] = await query<{ n: string }>(target.address, target.credentials, 'main', sql);
    return found?.n;
  }

  beforeAll(async () => {
    runner = await createServiceRunner();
    const credentials = postgresql.credentials(declaration);
    const startTarget = async () => {
      const program = postgresql.program(declaration, credentials, 'preview');
      const volume = await runner.volume();
      const { address } = await runner.start({
        toolchain: postgresql.toolchain(declaration),
        program,
        volume,
      });
      await waitFor(
        'the private server',
        () => postgresql.ready(address, credentials, AbortSignal.timeout(5_000)).catch(() => undefined),
        { timeoutMs: 60_000 },
      );
      await postgresql.provision(declaration, address, credentials);
      target = { address, credentials, declaration };
    };
    await Promise.all([
      startTarget(),
      (async () => {
        primary = await start(plain(`${bin}/initdb -D /data/pg -U main --auth=trust -E UTF8 --no-sync`));
        await ask(primary, 'create table people (id int primary key, name text)');
        await ask(primary, `insert into people select n, 'p' || n from generate_series(1, 1000) n`);
        const copy = `${baseBackup} -h 127.0.0.1 -p ${primary.port} -U main -D /data/pg -R -X stream --no-sync -c fast`;
        standby = await start(plain(copy, '-c max_standby_streaming_delay=0'));
      })(),
    ]);
  }, 120_000);

  afterAll(() => runner?.close());

  test('is read, and how far behind it is is said; a primary in its place is not', async () => {
    await expect(load(primary, true)).rejects.toMatchObject({
      code: 'source-not-standby',
      message: expect.stringContaining('is not a standby'),
    });
    await ask(primary, `insert into people values (2000, 'newest')`);
    await waitFor(
      'the row to be on the standby',
      async () => (await ask(standby, 'select 1 as one from people where id = 2000')).length === 1,
      { timeoutMs: 30_000 },
    );
    await loadInParts();
    expect(await countPeople()).toBe('1001');
    await query(target.address, target.credentials, 'main', 'drop table people');
    const loaded = await load(standby, true);
    expect(loaded?.words).toMatch(/^PostgreSQL \d+, a standby whose newest transaction was \d+\.\d s old$/);
    expect(lines.join('\n')).toContain(', a standby whose newest transaction');
    expect(await countPeople()).toBe('1001');
  });

  test('a conflict with recovery is said with what to do, and tried again', async () => {
    const { username, password } = target.credentials;
    await query(target.address, { username, password }, 'main', 'drop table people');
    // At 64 MiB a second it takes a while to read, which the other table's truncation falls into.
    await ask(
      primary,
      `create table wide as select repeat('x', 1000) as filler from generate_series(1, 100000)`,
    );
    await waitFor(
      'the rows to be on the standby',
      async () =>
        Number((await ask(standby, 'select count(*) as n from wide').catch(() => []))[0]?.n ?? 0) === 100_000,
      { timeoutMs: 60_000 },
    );
    const loading = load(standby, true).then(
      () => undefined,
      (error: unknown) => error,
    );
    await waitFor(
      'the reading to be under way',
      async () =>
        (
          await ask(
            standby,
            `select 1 as one from pg_stat_activity where application_name = 'bough' and query ilike 'copy%wide%'`,
          )
        ).length > 0,
      { timeoutMs: 60_000 },
    );
    await ask(primary, 'truncate people');
    expect(await loading).toMatchObject({
      code: 'source-conflict',
      retryable: true,
      message: expect.stringContaining('canceling statement due to conflict with recovery'),
      hint: expect.stringContaining('hot_standby_feedback'),
    });
  });
});
