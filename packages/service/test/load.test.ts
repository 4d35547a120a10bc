import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { Secret } from '@bough/domain/secret';
import { waitFor } from '@bough/testkit/wait-for';
import type { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { copyOut } from '../src/postgresql/copy-out.ts';
import { findDumpTools } from '../src/postgresql/dump-tools.ts';
import { postgresLoad } from '../src/postgresql/load.ts';
import { loadParallel, type ParallelLoad } from '../src/postgresql/load-parallel.ts';
import { parseSourceUrl } from '../src/postgresql/parse-source-url.ts';
import { postgresql } from '../src/postgresql/service.ts';
import type { Address, Credentials, DataSource, ServiceDeclaration } from '../src/service.ts';
import { digestsOf, joinSnapshot, oddTables, openSession, shapesOf } from './moment.ts';
import { query } from './query.ts';
import { createServiceRunner, type ServiceRunner } from './service-runner.ts';

const tools = await findDumpTools({ least: 14, target: 14 }).catch(() => undefined);
const title = tools === undefined ? 'load - SKIPPED: no pg_dump of 14 or newer here' : 'load';
const declaration: ServiceDeclaration = {
  name: 'database',
  type: 'postgresql',
  version: String(tools?.major ?? 15),
  configuration: {},
};

describe.skipIf(tools === undefined)(title, { timeout: 120_000 }, () => {
  let runner: ServiceRunner;
  let source: { address: Address; credentials: Credentials };
  let target: { address: Address; credentials: Credentials; declaration: ServiceDeclaration };

  async function startServer() {
    const credentials = postgresql.credentials(declaration);
    const { address } = await runner.start({
      toolchain: postgresql.toolchain(declaration),
      program: postgresql.program(declaration, credentials, 'preview'),
      volume: await runner.volume(),
    });
    await waitUntilReady(address, credentials);
    await postgresql.provision(declaration, address, credentials);
    return { address, credentials };
  }

  async function waitUntilReady(address: Address, credentials: Credentials): Promise<void> {
    const deadline = Date.now() + 60_000;
    for (;;) {
      try {
        await postgresql.ready(address, credentials, AbortSignal.timeout(5_000));
        return;
      } catch (error) {
        if (Date.now() > deadline) throw error;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  }

  const main = (of: { credentials: Credentials }) => {
    const login = of.credentials.endpoints.postgresql;
    if (login === undefined) throw new Error('no endpoint');
    return login;
  };
  const url = (password: string, port = source.address.port, database = 'main') =>
    new Secret(`postgresql://main:${encodeURIComponent(password)}@127.0.0.1:${port}/${database}`);
  const lines: string[] = [];
  const load = (from: DataSource) =>
    postgresLoad(from, target, {
      signal: AbortSignal.timeout(60_000),
      line: (text) => lines.push(text),
    });
  const refusal = async (from: DataSource) =>
    await load(from).then(
      () => undefined,
      (error: { code: string; message: string; hint: string }) => error,
    );

  const empty = () =>
    query(
      target.address,
      target.credentials,
      'main',
      `drop owned by main cascade; drop schema if exists public cascade; create schema public authorization main`,
    );

  async function dumpTo(name: string, flags: readonly string[]): Promise<string> {
    const file = join(runner.home, name);
    await promisify(execFile)(tools?.dump ?? '', [...flags, '--file', file], {
      env: {
        PGHOST: '127.0.0.1',
        PGPORT: String(source.address.port),
        PGUSER: 'main',
        PGPASSWORD: main(source).password.reveal(),
        PGDATABASE: 'main',
      },
    });
    return file;
  }

  beforeAll(async () => {
    runner = await createServiceRunner();
    [source, { ...target }] = await Promise.all([
      startServer(),
      startServer().then((server) => ({ ...server, declaration })),
    ]);
    await query(
      source.address,
      main(source),
      'main',
      `create table people (id serial primary key, email text unique);
       insert into people (email) select 'p' || n || '@example.com' from generate_series(1, 1000) n;
       create table orders (id serial, person int references people); insert into orders (person) select id from people;
       create view everybody as select email from people`,
    );
  }, 120_000);

  afterAll(() => runner?.close());

  test('what cannot be read is said without the connection string', async () => {
    const { password } = main(source);
    const wrong = await refusal({ kind: 'url', url: url('wrong-secret') });
    expect(wrong).toMatchObject({
      code: 'source-refused',
      message: expect.stringContaining('user or the password'),
    });
    expect(JSON.stringify([wrong?.message, wrong?.hint])).not.toContain('wrong-secret');
    expect(await refusal({ kind: 'url', url: url(password.reveal(), 1) })).toMatchObject({
      code: 'source-unreachable',
      retryable: true,
    });
    expect(await refusal({ kind: 'url', url: url(password.reveal(), undefined, 'nowhere') })).toMatchObject({
      message: expect.stringContaining('no such database'),
    });
    expect(await refusal({ kind: 'url', url: new Secret('mysql://x@y/z') })).toMatchObject({
      code: 'source-malformed',
    });
    const older = { ...target, declaration: { ...declaration, version: '13' } };
    await expect(
      postgresLoad({ kind: 'url', url: url(password.reveal()) }, older, {
        signal: AbortSignal.timeout(60_000),
        line: () => {},
      }),
    ).rejects.toMatchObject({ code: 'source-newer' });
    const garbage = join(runner.home, 'garbage.dump');
    await writeFile(garbage, 'create table never (id int);\n\\! touch /tmp/never\n');
    expect(await refusal({ kind: 'file', path: garbage })).toMatchObject({
      code: 'source-not-loaded',
      message: 'The dump cannot be loaded: line 2: "\\!" is a command for psql, and a dump may hold none.',
    });
    await query(target.address, main(target), 'main', 'drop table never');
  });

  test('a table that its user may not read fails the whole', async () => {
    await query(source.address, source.credentials, 'main', 'create table secrets (id int)');
    expect(await refusal({ kind: 'url', url: url(main(source).password.reveal()) })).toMatchObject({
      code: 'source-not-readable',
      message: expect.stringContaining('secrets'),
    });
    await query(source.address, source.credentials, 'main', 'drop table secrets');
  });

  test('a server and a dump of it come over whole, as what the app owns', async () => {
    const { password } = main(source);
    const dump = await dumpTo('shop.dump', ['--format=custom']);
    const plain = await dumpTo('shop.sql', ['--clean', '--if-exists']);
    const packed = `${await dumpTo('rows.sql', ['--inserts'])}.gz`;
    await writeFile(packed, gzipSync(await readFile(packed.slice(0, -3))));
    for (const from of [
      { kind: 'url', url: url(password.reveal()) },
      { kind: 'file', path: dump },
      { kind: 'file', path: plain },
      { kind: 'file', path: packed },
    ] as const) {
      await query(
        target.address,
        main(target),
        'main',
        'drop view if exists everybody; drop table if exists orders, people',
      );
      await load(from);
      const [found] = await query<{ people: number; orders: number; owner: string }>(
        target.address,
        main(target),
        'main',
        `select (select count(*)::int from everybody) as people, (select count(*)::int from orders join people on people.id = person) as orders,
           (select tableowner from pg_tables where tablename = 'people') as owner`,
      );
      expect(found, JSON.stringify(from)).toEqual({ people: 1000, orders: 1000, owner: 'main' });
      await query(target.address, main(target), 'main', 'alter table people add column more text');
    }
    expect(lines.join('\n')).toContain('MB read in');
  });

  describe('by several connections', () => {
    let watcher: Client;
    const connections = 3;

    beforeAll(async () => {
      await query(source.address, main(source), 'main', oddTables);
      watcher = await openSession(source);
    });
    afterAll(() => watcher?.end());

    /** Parts so small that there are many. */
    const read = (of: Pick<ParallelLoad, 'meter' | 'signal'> & Partial<ParallelLoad>) => {
      const { username: user, password } = main(target);
      const login = parseSourceUrl(url(main(source).password.reveal()).reveal(), 'database');
      return findDumpTools({ least: 14, target: 14 }).then((found) =>
        loadParallel(login, {
          tools: found,
          target: {
            ...{ ...target.address, service: 'database', major: found.major, database: 'main' },
            ...{ user, password: password?.reveal() ?? '' },
          },
          ...{ connections, sourceMajor: found.major, partBytes: 100_000, line: () => {} },
          ...of,
        }),
      );
    };
    const ours = async () =>
      (
        await watcher.query<{ state: string }>(
          `select state from pg_stat_activity where application_name = 'bough'`,
        )
      ).rows.length;

    test('rows that are taken late are what the server sent', async () => {
      // Of a size at which pg keeps some in memory that it writes the next ones to.
      const rows = 'select n, repeat(md5(n::text), 600) as text from generate_series(1, 500) n';
      const digest = createHash('md5');
      for await (const bytes of copyOut(
        watcher,
        `copy (select text from (${rows}) r order by n) to stdout`,
      )) {
        await new Promise((resolve) => setTimeout(resolve, 2));
        digest.update(bytes);
      }
      const all = await watcher.query<{ md5: string }>(
        `select md5(string_agg(text || E'\\n', '' order by n)) from (${rows}) r`,
      );
      expect(digest.digest('hex')).toBe(all.rows[0]?.md5);
    });

    test('who is told to stop stops all of them, and leaves nothing on the source', async () => {
      await empty();
      const stop = new AbortController();
      const meter = {
        take: (_: number, signal: AbortSignal) =>
          copying
            ? new Promise<void>((_resolve, reject) => signal.addEventListener('abort', reject))
            : Promise.resolve(),
        at: () => {
          copying = true;
        },
        done() {},
      };
      let copying = false;
      const reading = read({ meter, signal: stop.signal }).then(
        () => 'read',
        (error: unknown) => error,
      );
      await waitFor('all to read', async () => (await ours()) === connections, { timeoutMs: 30_000 });
      await waitFor('rows to be held back', async () => copying, { timeoutMs: 30_000 });
      stop.abort(new Error('enough'));
      expect(await reading).toMatchObject({ message: 'enough' });
      await waitFor('the source to be left alone', async () => (await ours()) === 0, { timeoutMs: 30_000 });
    });

    test('one that fails ends the others, and its words are those that are said', async () => {
      await empty();
      const meter = { take: async () => {}, at: () => {}, done() {} };
      const signal = AbortSignal.timeout(60_000);
      // Who owns it may read it, but not what its policies hide from everybody.
      await watcher.query('alter table guarded force row level security');
      await expect(read({ meter, signal })).rejects.toMatchObject({ code: 'source-not-readable' });
      await watcher.query('alter table guarded no force row level security');
      await waitFor('the source to be left alone', async () => (await ours()) === 0, { timeoutMs: 30_000 });

      // The holder of the snapshot is idle when the definitions come; on a standby, replay ends such a session.
      const end = () =>
        watcher.query(
          `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'bough' and query like '%pg_export_snapshot%'`,
        );
      const ending = { ...meter, take: async () => void (await end()) };
      await expect(read({ meter: ending, signal })).rejects.toMatchObject({
        code: 'source-unreachable',
        message: expect.stringContaining('57P01'),
        retryable: true,
      });
      await empty();

      await watcher.query('begin; drop table empty');
      const vanished = expect(read({ meter, signal })).rejects.toMatchObject({
        code: 'source-changed',
        retryable: true,
      });
      const other = await openSession(source);
      const isWaiting = `select 1 from pg_locks where not granted and locktype = 'relation'`;
      await waitFor(
        'the table to be waited for',
        async () => (await other.query(isWaiting)).rows.length > 0,
        {
          timeoutMs: 30_000,
        },
      );
      await other.end();
      await watcher.query('commit');
      await vanished;
    });

    test.each([
      ['pg_restore', {}],
      ['the SQL of a pg_restore that is newer than the server', { major: 17 }],
    ])(
      'what is written meanwhile is not seen, and every row of that moment comes once, by %s',
      async (_, newer) => {
        await empty();
        const [writer, moment, copy] = await Promise.all([
          openSession(source),
          openSession(source),
          openSession(target),
        ]);
        let isRead = false;
        let writes = 0;
        const write = async () => {
          for (; !isRead; writes += 1)
            await writer.query(
              `update ledger set amount = amount + 1, note = note || 'x' where id % 100 = ${writes % 100};
             insert into "Odd"."big $1" (note) values ('later'); delete from years where id = ${writes};
             create table if not exists late as select 1 as id`,
            );
        };
        // Nothing is read before somebody else has joined the same snapshot.
        let joined: Promise<void> | undefined;
        let writing: Promise<void> | undefined;
        let most = 0;
        let counted = Promise.resolve();
        const places: string[] = [];
        const meter = {
          async take() {
            joined ??= joinSnapshot(moment).then(() => {
              writing = write();
            });
            await joined;
          },
          at(place: string) {
            if (place.includes('(part ')) places.push(place);
            counted = counted.then(async () => {
              most = Math.max(most, await ours());
            });
          },
          done() {},
        };
        try {
          await read({
            meter,
            signal: AbortSignal.timeout(60_000),
            tools: { ...(await findDumpTools({ least: 14, target: 14 })), ...newer },
          });
          isRead = true;
          await writing;
          const then = await digestsOf(moment);
          expect(await digestsOf(copy)).toEqual(then);
          expect(Object.keys(then)).not.toContain('late');
          await moment.query('rollback; drop table late');
          expect((await digestsOf(moment)).ledger).not.toEqual(then.ledger);
          expect(await shapesOf(copy)).toEqual(await shapesOf(moment));
          expect(await copy.query('select * from sums')).toMatchObject({ rows: [{ n: '8000' }] });
          const large = new Set(places.map((place) => place.replace(/ \(part .*/, '')));
          expect([...large].sort()).toEqual(
            ['"Odd"."big $1"', 'public.emptied', 'public.guarded', 'public.ledger'].concat(
              ...['public.wide', 'public.years_new', 'public.years_old'],
            ),
          );
          expect(places.length).toBeGreaterThan(30);
          await counted;
          expect(most).toBeGreaterThan(0);
          expect(most).toBeLessThanOrEqual(connections);
          await waitFor('the source to be left alone', async () => (await ours()) === 0);
        } finally {
          isRead = true;
          await Promise.all([writer, moment, copy].map((client) => client.end()));
        }
      },
    );
  });

  test('a plain dump is nobody special, whole or refused, and its values are in no message', async () => {
    const sql = async (text: string) => {
      const path = join(runner.home, 'bad.sql');
      await writeFile(path, text);
      return await refusal({ kind: 'file', path });
    };
    expect(await sql("copy (select 1) to program 'touch /tmp/never';")).toMatchObject({
      message: expect.stringMatching(/line 1: .*42501/),
      hint: expect.stringContaining('not as a superuser'),
    });
    const row = await sql('create table t (id int);\ncopy t (id) from stdin;\n1\nada@example.com\n\\.\n');
    expect(row?.message).toContain('line 4: invalid input syntax for type integer: "…"');
    expect(row?.message).toContain('column id');
    expect(row?.message).not.toContain('ada@');
    expect((await sql("create table t (id int);\ninsert into t values ('ada');"))?.message).not.toContain(
      'ada',
    );
    const whole = await readFile(join(runner.home, 'shop.sql'), 'utf8');
    await empty();
    const cut = whole.slice(0, whole.lastIndexOf(';') + 1);
    expect(await sql(cut)).toMatchObject({ message: expect.stringContaining('not whole') });
    expect(await sql("set client_encoding = 'LATIN1';")).toMatchObject({
      hint: expect.stringContaining('--encoding=UTF8'),
    });
  });
});
