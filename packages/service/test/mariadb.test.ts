import { mkdir, mkdtemp, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type LocalStorageKind, storages } from '@bough/storage/registry';
import type { Storage } from '@bough/storage/storage';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeLoopDisk, whyNoLoopDisk } from '../../storage/test/loop-disk.ts';
import { mariadb } from '../src/mariadb/service.ts';
import type { Address, Cloning, Credentials, ServiceDeclaration, ServiceMode } from '../src/service.ts';
import { findSeries, skipNote } from './find-series.ts';
import { mariadbQuery, mariadbUrl } from './mariadb.ts';
import { createServiceRunner, type RunningService, type ServiceRunner } from './service-runner.ts';

const cloning = mariadb.cloning as Cloning;
const { series, why: noMariadb } = await findSeries('mariadb');
const declare = (configuration: Record<string, unknown> = {}): ServiceDeclaration => ({
  name: 'database',
  type: 'mariadb',
  version: series || '10.11',
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
  mode: ServiceMode = 'preview',
  declaration = declare(),
): Promise<RunningService> {
  const program = mariadb.program(declaration, credentials, mode);
  const server = await runner.start({ toolchain: mariadb.toolchain(declaration), program, volume });
  await mariadb.ready(server.address, credentials, AbortSignal.timeout(60_000)).catch((error: unknown) => {
    throw new Error(server.output(), { cause: error });
  });
  return server;
}

/** Bough's own account, in any schema. */
function asBough(address: Address, credentials: Credentials, text: string, schema = 'mysql') {
  const { username, password } = credentials;
  return mariadbQuery(
    `mysql://${username}:${password.reveal()}@${address.host}:${address.port}/${schema}`,
    text,
  );
}

describe.skipIf(noMariadb !== undefined)(`mariadb:${series}, provision${skipNote(noMariadb)}`, () => {
  const full = {
    schemas: ['main', 'stock_a'],
    properties: { max_allowed_packet: 32 },
    endpoints: {
      mysql: { default_schema: 'main', privileges: { main: 'admin', stock_a: 'admin' } },
      writer: { privileges: { main: 'rw' } },
      reader: { privileges: { main: 'ro' } },
    },
  };

  it('lets each endpoint do what its privilege says, and no more', async () => {
    const credentials = mariadb.credentials(declare(full));
    const volume = await runner.volume();
    const server = await start(volume, credentials, 'preview', declare(full));
    for (let n = 0; n < 2; n += 1) await mariadb.provision(declare(full), server.address, credentials);
    const endpoints = mariadb.endpoints(declare(full), credentials);
    const as = (name: string, text: string) =>
      mariadbQuery(mariadbUrl(endpoints[name], server.address), text);
    expect(endpoints.mysql).toMatchObject({ scheme: 'mysql', username: 'user', path: 'main' });
    await as('mysql', 'create table goods (id serial, name text)');
    await as('mysql', 'create table stock_a.pots (id serial)');
    await as('writer', `insert into goods (name) values ('cup'), ('Tür 🚪')`);
    expect(await as('reader', 'select name from goods order by id')).toEqual([
      { name: 'cup' },
      { name: 'Tür 🚪' },
    ]);
    const refused = expect.objectContaining({ errno: 1142 });
    await expect(as('reader', `insert into goods (name) values ('x')`)).rejects.toEqual(refused);
    await expect(as('writer', 'drop table goods')).rejects.toEqual(refused);
    await expect(as('writer', 'select * from stock_a.pots')).rejects.toEqual(refused);
    await expect(as('mysql', 'create database other')).rejects.toMatchObject({ errno: 1044 });
    await expect(as('mysql', `select load_file('/data/series')`)).resolves.toEqual([
      { "load_file('/data/series')": null },
    ]);
    const [packet] = await as('reader', 'select @@max_allowed_packet as bytes, @@event_scheduler as events');
    expect(packet).toEqual({ bytes: 32 * 1024 * 1024, events: 'OFF' });
    const fewer = declare({ ...full, endpoints: { mysql: full.endpoints.mysql } });
    await mariadb.provision(fewer, server.address, credentials);
    await expect(as('reader', 'select 1')).rejects.toMatchObject({ errno: 4151 });
    expect(await server.stop()).toBe(0);
    expect(await mariadb.unreadable?.(declare(full), volume)).toBeUndefined();
    expect(await mariadb.unreadable?.({ ...declare(full), version: '99.1' }, volume)).toBe(series);
    const older = mariadb.program({ ...declare(), version: '99.1' }, credentials, 'preview');
    const toolchain = mariadb.toolchain(declare());
    await expect(runner.start({ toolchain, program: older, volume })).rejects.toThrow(
      `holds the data of MariaDB ${series}`,
    );
  }, 120_000);

  it('names what is wrong with a declaration', () => {
    const wrong = {
      schemas: ['mysql'],
      endpoints: { x: { privileges: { main: 'replication' } } },
      properties: { plugin_load: 'x', max_allowed_packet: 'lots' },
    };
    expect(mariadb.check({ ...declare(wrong), version: '10.6' }).map(({ path }) => path.join('.'))).toEqual([
      'type',
      'schemas.0',
      'endpoints.x.privileges.main',
      'properties.plugin_load',
      'properties.max_allowed_packet',
    ]);
    expect(mariadb.check(declare(full))).toEqual([]);
  });
});

const cases: readonly { kind: LocalStorageKind; fileSystem?: 'xfs' | 'btrfs' }[] = [
  { kind: 'copy' },
  { kind: 'btrfs', fileSystem: 'btrfs' },
];

for (const { kind, fileSystem } of cases) {
  const why =
    noMariadb ?? (fileSystem === undefined ? undefined : await whyNoLoopDisk(fileSystem).catch(String));
  describe.skipIf(why !== undefined)(`mariadb:${series}, cloning on ${kind}${skipNote(why)}`, () => {
    const labels = (name: string, of: 'production' | 'capture' | 'preview') => ({
      ...{ installationId: 'one', environmentId: '1', name, kind: of },
    });
    let storage: Storage;
    let removeDisk = async () => {};
    beforeAll(async () => {
      const disk = fileSystem === undefined ? undefined : await makeLoopDisk(fileSystem, 1_024);
      removeDisk = disk?.remove ?? removeDisk;
      const root = await mkdtemp(join(disk?.path ?? runner.home, 'storage-'));
      storage = storages[kind]({ root, installationId: 'one' });
    });
    afterAll(async () => {
      await runner.killAll();
      await removeDisk();
    });

    it('captures a server under load, and a clone of it is whole, harmless and its own', async () => {
      const credentials = mariadb.credentials(declare());
      const volume = await storage.ensure({ id: 'production', labels: labels('service', 'production') });
      const production = await start(volume.path, credentials, 'production');
      await mariadb.provision(declare(), production.address, credentials);
      const app = (address: Address, own: Credentials, text: string) =>
        mariadbQuery(mariadbUrl(mariadb.endpoints(declare(), own).mysql, address), text);
      await app(production.address, credentials, 'create table accounts (id int primary key, balance int)');
      const rows = Array.from({ length: 100 }, (_, id) => `(${id}, 1000)`).join();
      await app(production.address, credentials, `insert into accounts values ${rows}`);
      await fangs(production.address, credentials);
      const load = await startLoad(
        mariadbUrl(mariadb.endpoints(declare(), credentials).mysql, production.address),
      );
      const before = load.count();
      const raw = await storage.snapshot(
        'production',
        { id: 'raw', labels: labels('capture', 'capture') },
        storage.atomic
          ? undefined
          : cloning.join(production.address, credentials, runner.beside(mariadb.toolchain(declare()))),
      );
      await load.waitForMore(10);
      expect(load.count()).toBeGreaterThan(before);
      await load.stop();
      expect(await production.stop()).toBe(0);

      const spec = { id: 'captured', labels: labels('capture', 'capture'), from: raw.id };
      const captured = await storage.ensure(spec);
      await cloning.defang(captured.path);
      const capture = await start(captured.path, credentials, 'capture');
      const golden = mariadb.credentials(declare());
      await cloning.claim(capture.address, credentials, golden);
      await expectHarmless(capture, golden);
      expect(await capture.stop()).toBe(0);
      await storage.snapshot(captured.id, { id: 'golden', labels: labels('capture', 'capture') });

      const clone = { id: 'preview', labels: labels('service', 'preview'), from: 'golden' };
      const preview = await start((await storage.ensure(clone)).path, golden);
      const own = mariadb.credentials(declare());
      const signal = AbortSignal.timeout(60_000);
      for (let n = 0; n < 2; n += 1)
        expect(await cloning.adopt(declare(), preview.address, { from: golden, to: own, signal })).toEqual(
          await mariadb.ready(preview.address, own, signal),
        );
      for (const former of [golden, credentials]) {
        await expect(
          mariadb.ready(preview.address, former, AbortSignal.timeout(10_000)),
        ).rejects.toMatchObject({ code: 'service-refused' });
        await expect(app(preview.address, former, 'select 1')).rejects.toMatchObject({ errno: 1045 });
      }
      await expect(
        cloning.claim(preview.address, golden, mariadb.credentials(declare())),
      ).rejects.toMatchObject({ code: 'claim-refused' });
      const [sum] = await app(preview.address, own, 'select sum(balance) as sum from accounts');
      expect(Number(sum?.sum)).toBe(100_000);
      const [moved] = await app(preview.address, own, 'select count(*) as n from transfers');
      expect(await cloning.count(preview.address, own)).toEqual(
        expect.arrayContaining([
          { table: 'accounts', rows: 100 },
          { table: 'transfers', rows: Number(moved?.n) },
        ]),
      );
      expect(Number(moved?.n)).toBeGreaterThan(0);
      expect(await preview.stop()).toBe(0);
    }, 180_000);
  });
}

/** What of a production could reach beyond a copy of it. */
async function fangs(address: Address, credentials: Credentials): Promise<void> {
  const statements = [
    'create table main.transfers (id serial, note text)',
    `create server elsewhere foreign data wrapper mysql options (host '192.0.2.1', user 'u', password 'p')`,
    `insert into mysql.plugin values ('federated', 'ha_federated.so')`,
    `change master 'far' to master_host = '192.0.2.1', master_user = 'u', master_password = 'replica-password'`,
    `create event main.mailer on schedule every 1 second do insert into main.transfers (note) values ('mail')`,
    `create user guest@localhost identified by 'guest'`,
    `set global general_log = off`,
  ];
  for (const statement of statements) await asBough(address, credentials, statement);
}

async function expectHarmless(server: RunningService, own: Credentials): Promise<void> {
  const ask = (text: string) => asBough(server.address, own, text);
  expect(await ask('select * from mysql.plugin')).toEqual([]);
  expect(await ask('select * from mysql.servers')).toEqual([]);
  expect(await ask('show all slaves status')).toEqual([]);
  expect(await ask('select @@event_scheduler as events, @@log_bin as log')).toEqual([
    { events: 'OFF', log: 0 },
  ]);
  const guest = `mysql://guest:guest@${server.address.host}:${server.address.port}/main`;
  await expect(mariadbQuery(guest, 'select 1')).rejects.toThrow();
  expect(
    await ask(
      `select json_value(priv, '$.account_locked') as locked from mysql.global_priv where user = 'guest'`,
    ),
  ).toEqual([{ locked: '1' }]);
}

/** Moves money to and fro: whatever a copy sees, the sum must be the same. */
async function startLoad(url: string) {
  let done = 0;
  let stopped = false;
  const failures: unknown[] = [];
  const loop = (async () => {
    while (!stopped) {
      const [from, to] = [done % 100, (done * 7 + 3) % 100];
      await mariadbQuery(
        `${url}?multipleStatements=true`,
        `begin; update accounts set balance = balance - 7 where id = ${from};
         update accounts set balance = balance + 7 where id = ${to};
         insert into transfers (note) values (repeat('y', 500)); commit`,
      );
      done += 1;
    }
  })().catch((error: unknown) => failures.push(error));
  const waitForMore = async (more: number) => {
    const goal = done + more;
    const deadline = Date.now() + 30_000;
    while (done < goal) {
      if (failures.length > 0 || Date.now() > deadline) throw new Error(`no transfers: ${failures.join()}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  };
  await waitForMore(10);
  return {
    count: () => done,
    waitForMore,
    async stop() {
      stopped = true;
      await loop;
      expect(failures).toEqual([]);
    },
  };
}

it('defangs files that belong to the original, and refuses those that lie elsewhere', async () => {
  const volume = await runner.volume();
  const data = join(volume, 'mariadb');
  await mkdir(join(data, 'mysql'), { recursive: true });
  await mkdir(join(data, 'main'));
  const gone = [
    'master.info',
    'relay-log.info',
    'master-far.info',
    'vm-relay-bin.000002',
    'mysql-bin.000001',
  ];
  const alsoGone = [
    'mysql-bin.index',
    'multi-master.info',
    'server-key.pem',
    'vm-slow.log',
    'ib_buffer_pool',
  ];
  const kept = ['ibdata1', 'ib_logfile0', 'aria_log.00000001', 'aria_log_control', 'main/goods.ibd'];
  for (const name of [...gone, ...alsoGone, ...kept, 'mysql/general_log.CSV'])
    await writeFile(join(data, name), 'a value');
  await cloning.defang(volume);
  await cloning.defang(volume);
  expect((await readdir(data)).sort()).toEqual(
    ['ibdata1', 'ib_logfile0', 'aria_log.00000001', 'aria_log_control', 'main', 'mysql'].sort(),
  );
  expect((await stat(join(data, 'mysql/general_log.CSV'))).size).toBe(0);
  expect(await readFile(join(data, 'main/goods.ibd'), 'utf8')).toBe('a value');
  await symlink('/elsewhere', join(data, 'main/linked.MYD'));
  await expect(cloning.defang(volume)).rejects.toMatchObject({ code: 'capture-refused' });
});
