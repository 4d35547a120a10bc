import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeLoopDisk, whyNoLoopDisk } from '../../storage/test/loop-disk.ts';
import { postgresql } from '../src/postgresql/service.ts';
import type { Cloning, Credentials, ServiceDeclaration } from '../src/service.ts';
import { query } from './query.ts';
import { createServiceRunner, type RunningService, type ServiceRunner } from './service-runner.ts';

const cloning = postgresql.cloning as Cloning;
const declare = (configuration: Record<string, unknown> = {}, version = '17'): ServiceDeclaration => ({
  name: 'database',
  type: 'postgresql',
  version,
  configuration,
});

let runner: ServiceRunner;
beforeAll(async () => {
  runner = await createServiceRunner();
});
afterAll(() => runner.close());

async function start(
  volume: string,
  credentials: Credentials,
  declaration = declare(),
): Promise<RunningService> {
  const server = await runner.start({
    toolchain: 'postgresql:17',
    program: postgresql.program(declaration, credentials, 'preview'),
    volume,
  });
  await postgresql.ready(server.address, credentials, AbortSignal.timeout(60_000));
  return server;
}

describe('provision', () => {
  const full = {
    databases: ['main', 'stock'],
    extensions: ['pg_trgm', 'uuid-ossp'],
    endpoints: {
      owner: { default_database: 'main', privileges: { main: 'admin', stock: 'admin' } },
      helper: { privileges: { main: 'admin' } },
      writer: { privileges: { main: 'rw' } },
      reader: { privileges: { main: 'ro' } },
    },
  };
  let server: RunningService;
  let credentials: Credentials;
  const as = (endpoint: string, text: string, database = 'main') => {
    const login = credentials.endpoints[endpoint];
    if (!login) throw new Error(`no ${endpoint}`);
    return query<Record<string, unknown>>(server.address, login, database, text);
  };
  const refused = expect.objectContaining({ code: '42501' });

  beforeAll(async () => {
    credentials = postgresql.credentials(declare(full));
    server = await start(await runner.volume(), credentials, declare(full));
    for (let n = 0; n < 2; n += 1) await postgresql.provision(declare(full), server.address, credentials);
  });

  it('lets each endpoint do what its privilege says, also with what is made later', async () => {
    await as('owner', 'create table goods (id serial primary key, name text)');
    await as('helper', 'create table helped (id serial primary key)');
    await as('owner', 'alter table helped add column more text');
    await as('owner', 'create schema audit');
    await as('owner', 'create table audit.events (n int)');
    await as('writer', `insert into goods (name) values ('cup'), ('pot')`);
    await as('writer', 'insert into audit.events values (1)');
    expect(await as('reader', 'select name from goods order by name')).toEqual([
      { name: 'cup' },
      { name: 'pot' },
    ]);
    expect(await as('reader', 'select n from audit.events')).toEqual([{ n: 1 }]);
    await expect(as('reader', `insert into goods (name) values ('x')`)).rejects.toEqual(refused);
    await expect(as('reader', 'create table x (n int)')).rejects.toEqual(refused);
    await expect(as('writer', 'create table x (n int)')).rejects.toEqual(refused);
    await expect(as('writer', 'drop table goods')).rejects.toEqual(refused);
  });

  it('keeps endpoints out of databases that are not theirs, and everybody out of the superuser', async () => {
    await as('owner', 'create table shelves (n int)', 'stock');
    for (const endpoint of ['helper', 'writer', 'reader']) {
      await expect(as(endpoint, 'select 1', 'stock')).rejects.toEqual(refused);
    }
    for (const endpoint of ['owner', 'helper', 'writer', 'reader']) {
      await expect(as(endpoint, 'set role bough')).rejects.toEqual(refused);
      await expect(as(endpoint, `select pg_read_file('/etc/passwd')`)).rejects.toEqual(refused);
      await expect(as(endpoint, `copy (select 1) to program 'id'`)).rejects.toEqual(refused);
    }
  });

  it('makes extensions in every database, and says which there are when one is missing', async () => {
    for (const database of ['main', 'stock']) {
      expect(await as('owner', `select similarity('word', 'word') as s`, database)).toEqual([{ s: 1 }]);
      expect(await as('owner', 'select uuid_generate_v4() is not null as made', database)).toEqual([
        { made: true },
      ]);
    }
    await expect(
      postgresql.provision(declare({ ...full, extensions: ['postgis'] }), server.address, credentials),
    ).rejects.toMatchObject({ code: 'extension-unavailable', hint: expect.stringContaining('pg_trgm') });
  });

  it('follows a declaration that changes: less is less, and what went can no longer log in', async () => {
    const changed = declare({
      databases: ['main', 'stock'],
      endpoints: {
        owner: full.endpoints.owner,
        helper: { privileges: { main: 'ro' } },
        writer: { privileges: { main: 'ro', stock: 'rw' } },
      },
    });
    for (let n = 0; n < 2; n += 1) await postgresql.provision(changed, server.address, credentials);
    await expect(as('writer', `insert into goods (name) values ('x')`)).rejects.toEqual(refused);
    await as('writer', 'insert into shelves values (1)', 'stock');
    await expect(as('helper', 'drop table helped')).rejects.toEqual(refused);
    expect(await as('helper', 'select count(*)::int as n from goods')).toEqual([{ n: 2 }]);
    await expect(as('reader', 'select 1')).rejects.toMatchObject({ code: '28P01' });
    await postgresql.provision(declare(full), server.address, credentials);
    await as('helper', 'drop table helped');
    expect(await as('reader', 'select count(*)::int as n from goods')).toEqual([{ n: 2 }]);
  });

  it('counts rows in every database, largest first', async () => {
    expect(await cloning.count(server.address, credentials)).toEqual([
      { table: 'goods', rows: 2 },
      { table: 'audit.events', rows: 1 },
      { table: 'stock/shelves', rows: 1 },
    ]);
  });

  it('claims and adopts: foreign roles, subscriptions and mappings to other servers lose what they knew', async () => {
    const root = (text: string, database = 'main') => query(server.address, credentials, database, text);
    const subscribe = `create subscription feed connection 'host=127.0.0.1 port=1 password=production' publication p with (connect = false)`;
    const claim = (to: Credentials) => cloning.claim(server.address, credentials, to);
    const adopt = async (to: Credentials) => {
      const signal = AbortSignal.timeout(60_000);
      const { version } = await cloning.adopt(declare(full), server.address, {
        from: credentials,
        to,
        signal,
      });
      expect(version).toMatch(/^17\.\d+$/);
    };
    await root('create extension postgres_fdw', 'stock');
    await root(`create server far foreign data wrapper postgres_fdw options (host 'production')`, 'stock');
    // Adopted first as what nobody has claimed yet: every database is looked into.
    for (const take of [adopt, claim]) {
      await root(`create role stranger login superuser password 'known'`);
      await root(subscribe);
      for (const user of ['owner', 'public'])
        await root(
          `create user mapping for ${user} server far options (user 'a', password 'production')`,
          'stock',
        );
      const own = postgresql.credentials(declare(full));
      await take(own);
      credentials = own;
      expect(await root('select from pg_subscription')).toEqual([]);
      expect(await root('select from pg_user_mappings', 'stock')).toEqual([]);
      expect(await root(`select rolname from pg_authid where rolpassword is not null order by 1`)).toEqual(
        ['bough', 'helper', 'owner', 'reader', 'writer'].map((rolname) => ({ rolname })),
      );
      expect(await as('owner', 'select 1 as one')).toEqual([{ one: 1 }]);
      await root('drop role stranger');
      expect(server.output()).not.toContain(own.password.reveal());
    }
    // What was claimed once is not looked through again, except for what all databases have in common.
    await root(`create role stranger login password 'known'`);
    await root(subscribe);
    await root('drop extension postgres_fdw cascade', 'stock');
    const own = postgresql.credentials(declare(full));
    await adopt(own);
    credentials = own;
    expect(await root('select from pg_subscription')).toEqual([]);
    expect(
      await root(`select from pg_authid where rolname = 'stranger' and rolpassword is not null`),
    ).toEqual([]);
    await root('drop role stranger');
  });

  it('adopts a copy that lacks the first database of its declaration', async () => {
    const more = declare({ ...full, databases: ['fresh', ...full.databases] });
    const own = postgresql.credentials(more);
    const signal = AbortSignal.timeout(60_000);
    await cloning.adopt(more, server.address, { from: credentials, to: own, signal });
    credentials = own;
    expect(await query(server.address, credentials, 'fresh', 'select 1 as one')).toEqual([{ one: 1 }]);
    expect(await as('owner', 'select 1 as one')).toEqual([{ one: 1 }]);
  });

  it('makes credentials for endpoints that the manifest gains', async () => {
    const { completeCredentials } = await import('../src/complete-credentials.ts');
    const more = declare({
      endpoints: { ...full.endpoints, late: { privileges: { main: 'ro' } } },
      databases: ['main', 'stock'],
    });
    await expect(postgresql.provision(more, server.address, credentials)).rejects.toMatchObject({
      code: 'credentials-incomplete',
    });
    credentials = completeCredentials(credentials, postgresql.credentials(more));
    await postgresql.provision(more, server.address, credentials);
    expect(await as('late', 'select count(*)::int as n from goods')).toEqual([{ n: 2 }]);
  });
});

describe('initialise', () => {
  it('starts over after a half-made attempt, and does nothing when it is done', async () => {
    const credentials = postgresql.credentials(declare());
    const volume = await runner.volume();
    await mkdir(join(volume, 'pg.partial'));
    await writeFile(join(volume, 'pg.partial/PG_VERSION'), '17\n');
    const server = await start(volume, credentials);
    expect((await readdir(volume)).sort()).toEqual(['pg']);
    await server.stop();
    const again = await start(volume, credentials);
    await again.stop();
  });

  it('refuses the data of another major version in words', async () => {
    const credentials = postgresql.credentials(declare());
    const volume = await runner.volume();
    await mkdir(join(volume, 'pg'));
    await writeFile(join(volume, 'pg/PG_VERSION'), '16\n');
    await expect(start(volume, credentials)).rejects.toThrow(
      'This volume holds the data of PostgreSQL 16, and the manifest asks for 17.',
    );
  });
});

const why = await whyNoLoopDisk('ext4');
describe.skipIf(why !== undefined)(`a full disk${why === undefined ? '' : ` - SKIPPED: ${why}`}`, () => {
  it('is told to the app, harms no other server, and nothing committed is lost', async () => {
    const disk = await makeLoopDisk('ext4', 140);
    try {
      const volume = join(disk.path, 'volume');
      await mkdir(volume, { mode: 0o700 });
      const credentials = postgresql.credentials(declare());
      const neighbour = await start(await runner.volume(), credentials);
      const server = await start(volume, credentials);
      const room = join(disk.path, 'room');
      await writeFile(room, Buffer.alloc(40_000_000));
      const root = (text: string, address = server.address) =>
        query<{ n: number }>(address, credentials, 'postgres', text);
      await root('create table kept as select generate_series(1, 1000) n');
      const filling = root(
        `create table big as select repeat(md5(n::text), 60) from generate_series(1, 200000) n`,
      );
      await expect(filling).rejects.toThrow(/No space left on device|terminated|closed|crash/i);
      expect(await root('select 1 as n', neighbour.address)).toEqual([{ n: 1 }]);
      await server.kill();
      await rm(room);
      const revived = await start(volume, credentials);
      const counted = await query<{ n: number }>(
        revived.address,
        credentials,
        'postgres',
        'select count(*)::int n from kept',
      );
      expect(counted).toEqual([{ n: 1000 }]);
      await revived.stop();
      await neighbour.stop();

      const second = join(disk.path, 'second');
      await mkdir(second, { mode: 0o700 });
      const ballast = join(disk.path, 'ballast');
      await writeFile(ballast, Buffer.alloc(200_000_000)).catch(() => {});
      await expect(start(second, credentials)).rejects.toThrow('No space left on device');
      expect(await readdir(second)).not.toContain('pg');
      await rm(ballast);
      await rm(volume, { recursive: true });
      await (await start(second, credentials)).stop();
    } finally {
      await disk.remove();
    }
  }, 120_000);
});
