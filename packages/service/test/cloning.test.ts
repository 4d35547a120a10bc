import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type LocalStorageKind, storages } from '@bough/storage/registry';
import type { Storage } from '@bough/storage/storage';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeLoopDisk, whyNoLoopDisk } from '../../storage/test/loop-disk.ts';
import { postgresJoin } from '../src/postgresql/join.ts';
import { postgresql } from '../src/postgresql/service.ts';
import type { Address, Cloning, Credentials, ServiceDeclaration, ServiceMode } from '../src/service.ts';
import { query } from './query.ts';
import { createServiceRunner, type RunningService, type ServiceRunner } from './service-runner.ts';
import { spawnUntilOutput } from './spawn-until-output.ts';
import { startTransfers } from './transfers.ts';

const cases: readonly { kind: LocalStorageKind; version: string; fileSystem?: 'xfs' | 'btrfs' }[] = [
  { kind: 'copy', version: '17' },
  { kind: 'copy', version: '14' },
  { kind: 'copy', version: '18' },
  { kind: 'reflink', version: '17', fileSystem: 'xfs' },
  { kind: 'btrfs', version: '17', fileSystem: 'btrfs' },
];

const cloning = postgresql.cloning as Cloning;
const labels = (name: string, kind: 'production' | 'capture' | 'preview') => ({
  installationId: 'one',
  environmentId: '1',
  name,
  kind,
});

for (const { kind, version, fileSystem } of cases) {
  const copyOnly: typeof it | (() => void) = kind === 'copy' ? it : () => {};
  const why = fileSystem === undefined ? undefined : await whyNoLoopDisk(fileSystem);
  const title = `postgresql:${version} on ${kind}${why === undefined ? '' : ` - SKIPPED: ${why}`}`;
  describe.skipIf(why !== undefined)(title, () => {
    const declaration: ServiceDeclaration = {
      name: 'database',
      type: 'postgresql',
      version,
      configuration: {},
    };
    const credentials = postgresql.credentials(declaration);
    let runner: ServiceRunner;
    let storage: Storage;
    let root: string;
    let production: RunningService;
    let removeDisk = async () => {};

    const start = (volume: string, mode: ServiceMode, own: Credentials) =>
      runner.start({
        toolchain: postgresql.toolchain(declaration),
        program: postgresql.program(declaration, own, mode),
        volume,
      });
    const ready = (address: Address, own: Credentials) =>
      postgresql.ready(address, own, AbortSignal.timeout(60_000));

    beforeAll(async () => {
      runner = await createServiceRunner();
      const disk = fileSystem === undefined ? undefined : await makeLoopDisk(fileSystem, 2_048);
      removeDisk = disk?.remove ?? removeDisk;
      root = await mkdtemp(join(disk?.path ?? runner.home, 'storage-'));
      storage = storages[kind]({ root, installationId: 'one' });
      const volume = await storage.ensure({
        id: 'production',
        labels: labels('service:database', 'production'),
      });
      production = await start(volume.path, 'production', credentials);
      await ready(production.address, credentials);
      await postgresql.provision(declaration, production.address, credentials);
    });
    afterAll(async () => {
      await runner.close();
      await removeDisk();
    });

    it('captures a server under load, and clones of it are whole, private and their own', async () => {
      const app = endpoint(credentials);
      const transfers = await startTransfers(production.address, app, credentials);
      try {
        for (let round = 0; round < 2; round += 1) {
          await transfers.waitForMore(50);
          const before = transfers.count();
          await captureAndClone(round);
          expect(transfers.count()).toBeGreaterThan(before);
          await expectOutOfBackupMode(production.address, credentials);
        }
      } finally {
        await transfers.stop();
      }
      expect(transfers.errors()).toEqual([]);
      expect(await total(production.address, app)).toBe(transfers.total);
    }, 180_000);

    async function captureAndClone(round: number): Promise<void> {
      const raw = await storage.snapshot(
        'production',
        { id: `raw-${round}`, labels: labels('capture:database', 'capture') },
        postgresJoin(production.address, credentials),
      );
      const captured = await storage.ensure({
        id: `capture-${round}`,
        labels: labels('capture:database', 'capture'),
        from: raw.id,
      });
      await cloning.defang(captured.path);
      const capture = await start(captured.path, 'capture', credentials);
      await ready(capture.address, credentials);
      expect(await total(capture.address, endpoint(credentials))).toBe(200_000);
      const between = postgresql.credentials(declaration);
      await cloning.claim(capture.address, credentials, between);
      expect(await capture.stop()).toBe(0);
      const golden = await storage.snapshot(captured.id, {
        id: `golden-${round}`,
        labels: labels('capture:database', 'capture'),
      });
      const volume = await storage.ensure({
        id: `preview-${round}`,
        labels: labels('service:database', 'preview'),
        from: golden.id,
      });
      const preview = await start(volume.path, 'preview', between);
      await expectAdopted(preview.address, between);
      expect(await preview.stop()).toBe(0);
      for (const id of [captured.id, volume.id]) await storage.remove(id);
      for (const id of [raw.id, golden.id]) await storage.removeSnapshot(id);
    }

    async function expectAdopted(address: Address, between: Credentials): Promise<void> {
      const own = postgresql.credentials(declaration);
      const signal = AbortSignal.timeout(60_000);
      for (let n = 0; n < 2; n += 1)
        expect(await cloning.adopt(declaration, address, { from: between, to: own, signal })).toEqual(
          await ready(address, own),
        );
      for (const former of [credentials, between])
        await expect(ready(address, former)).rejects.toMatchObject({ code: 'service-refused' });
      await expect(total(address, endpoint(credentials))).rejects.toMatchObject({ code: '28P01' });
      expect(await total(address, endpoint(own))).toBe(200_000);
      const rows = await query<{ n: string }>(
        address,
        endpoint(own),
        'main',
        'select count(*) n from transfers',
      );
      expect(await cloning.count(address, own)).toEqual(
        [
          { table: 'accounts', rows: 200 },
          { table: 'transfers', rows: Number(rows[0]?.n) },
        ].sort((a, b) => b.rows - a.rows),
      );
      const others = postgresql.credentials(declaration);
      await expect(cloning.claim(address, between, others)).rejects.toMatchObject({ code: 'claim-refused' });
      await expect(
        cloning.adopt(declaration, address, { from: between, to: others, signal }),
      ).rejects.toMatchObject({ code: 'claim-refused' });
    }

    copyOnly('leaves the source out of backup mode when the copy fails or its process dies', async () => {
      const failing = storage.snapshot(
        'production',
        { id: 'failing', labels: labels('capture:database', 'capture') },
        {
          ...postgresJoin(production.address, credentials),
          end: () => Promise.reject(new Error('the disk burns')),
        },
      );
      await expect(failing).rejects.toThrow('the disk burns');
      await expectOutOfBackupMode(production.address, credentials);
      expect(await readdir(join(root, 'snapshots'))).toEqual([]);

      const script = new URL('capture-and-hang.ts', import.meta.url).pathname;
      const input = { root, address: production.address, credentials: plain(credentials) };
      const child = await spawnUntilOutput(script, JSON.stringify(input), 'copied');
      expect(await backups(production.address, credentials)).toBe(1);
      await child.kill();
      await expectOutOfBackupMode(production.address, credentials);
      expect((await readdir(join(root, 'snapshots'))).length).toBe(1);
      expect(await storage.listSnapshots()).toEqual([]);
      await storage.ensure({ id: 'sweeper', labels: labels('x', 'preview') });
      expect(await readdir(join(root, 'snapshots'))).toEqual([]);
      await storage.remove('sweeper');
    });

    copyOnly('copies a running preview too, to return to when a deploy hook fails', async () => {
      const own = postgresql.credentials(declaration);
      const login = endpoint(own);
      const volume = await storage.ensure({ id: 'before', labels: labels('service:database', 'preview') });
      const preview = await start(volume.path, 'preview', own);
      await ready(preview.address, own);
      await postgresql.provision(declaration, preview.address, own);
      await query(preview.address, login, 'main', 'create table kept as select 1 as n');
      const { id } = await storage.snapshot(
        'before',
        { id: 'hook', labels: labels('service:database', 'preview') },
        postgresJoin(preview.address, own),
      );
      await query(preview.address, login, 'main', 'drop table kept');
      expect(await preview.stop()).toBe(0);
      await storage.remove('before');
      const restored = await storage.ensure({ id: 'before', labels: volume.labels, from: id });
      const again = await start(restored.path, 'preview', own);
      await ready(again.address, own);
      expect(await query(again.address, login, 'main', 'select n from kept')).toEqual([{ n: 1 }]);
      await again.stop();
      await storage.remove('before');
      await storage.removeSnapshot(id);
    });

    copyOnly('refuses tablespaces elsewhere in words', async () => {
      const inside = join(root, 'volumes/production/data/outside');
      await mkdir(inside);
      await query(
        production.address,
        credentials,
        'postgres',
        `create tablespace outside location '/data/outside'`,
      );
      const snapshot = storage.snapshot(
        'production',
        { id: 'refused', labels: labels('capture:database', 'capture') },
        postgresJoin(production.address, credentials),
      );
      await expect(snapshot).rejects.toMatchObject({
        code: 'capture-refused',
        message: expect.stringContaining('outside'),
      });
      await expectOutOfBackupMode(production.address, credentials);
      await query(production.address, credentials, 'postgres', 'drop tablespace outside');
    });

    copyOnly('defangs whatever could reach beyond the copy', async () => {
      const volume = await storage.ensure({ id: 'fangs', labels: labels('x', 'preview') });
      const cluster = join(volume.path, 'pg');
      for (const folder of ['pg_replslot/production_slot', 'pg_tblspc', 'pg_wal/archive_status', 'log']) {
        await mkdir(join(cluster, folder), { recursive: true });
      }
      const files = {
        PG_VERSION: `${version}\n`,
        'standby.signal': '',
        'server.key': 'production key',
        'log/today.log': 'a value',
        'pg_wal/archive_status/000000010000000000000001.ready': '',
        'postgresql.auto.conf': `primary_conninfo = 'password=production'\n`,
        'postgresql.conf': `archive_command = 'cp %p /archive'\nshared_preload_libraries = 'pg_cron'\ninclude = '/etc/x'\ndatestyle = 'iso, dmy'\n`,
        'pg_hba.conf': 'host all all 0.0.0.0/0 trust\n',
        'pg_ident.conf': '',
      };
      for (const [name, text] of Object.entries(files)) await writeFile(join(cluster, name), text);
      await cloning.defang(volume.path);
      await cloning.defang(volume.path);
      const read = (name: string) => readFile(join(cluster, name), 'utf8');
      expect(await readdir(join(cluster, 'pg_replslot'))).toEqual([]);
      expect(await readdir(join(cluster, 'log'))).toEqual([]);
      expect(await readdir(join(cluster, 'pg_wal/archive_status'))).toEqual([]);
      expect((await readdir(cluster)).sort()).not.toEqual(expect.arrayContaining(['standby.signal']));
      expect((await readdir(cluster)).sort()).not.toEqual(expect.arrayContaining(['server.key']));
      expect(await read('postgresql.auto.conf')).not.toContain('production');
      expect(await read('postgresql.conf')).toMatch(/^#.*\ndatestyle = 'iso, dmy'\n$/);
      expect(await read('pg_hba.conf')).not.toContain('trust');
      await rm(join(cluster, 'pg_tblspc'), { recursive: true });
      await mkdir(join(cluster, 'pg_tblspc'));
      await symlink('/elsewhere', join(cluster, 'pg_tblspc/16400'));
      await expect(cloning.defang(volume.path)).rejects.toMatchObject({ code: 'capture-refused' });
      await storage.remove('fangs');
    });
  });
}

function endpoint(credentials: Credentials) {
  const login = credentials.endpoints.postgresql;
  if (!login) throw new Error('no endpoint');
  return login;
}

async function total(address: Address, login: Credentials['endpoints'][string]): Promise<number> {
  const rows = await query<{ sum: string }>(address, login, 'main', 'select sum(balance) from accounts');
  return Number(rows[0]?.sum);
}

/** Connections that hold a backup: each has a temporary slot, which PostgreSQL drops with the connection. */
async function backups(address: Address, credentials: Credentials): Promise<number> {
  const rows = await query<{ n: string }>(
    address,
    credentials,
    'postgres',
    `select count(*) n from pg_stat_activity a
     where a.application_name = 'bough'
        or exists (select from pg_replication_slots s where s.active_pid = a.pid)`,
  );
  return Number(rows[0]?.n);
}

async function expectOutOfBackupMode(address: Address, credentials: Credentials): Promise<void> {
  await expect.poll(() => backups(address, credentials), { timeout: 10_000 }).toBe(0);
  const slots = await query(address, credentials, 'postgres', 'select from pg_replication_slots');
  expect(slots.length).toBe(0);
}

function plain(credentials: Credentials) {
  return { username: credentials.username, password: credentials.password.reveal() };
}
