import { chmod, mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Secret } from '@bough/domain/secret';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { claimHome, openHome } from './home.ts';

let path: string;
beforeEach(async () => {
  path = join(await mkdtemp(join(tmpdir(), 'bough-home-')), 'home');
});
afterEach(() => rm(join(path, '..'), { recursive: true, force: true }));

test('makes identity and keys once, readable by nobody else', async () => {
  const first = await openHome({ path });
  const second = await openHome({ path });
  expect(second.installationId).toBe(first.installationId);
  expect(second.masterKey.reveal()).toBe(first.masterKey.reveal());
  expect(second.adminToken.reveal()).toBe(first.adminToken.reveal());
  expect(second.attestationKeys.current.public.pem).toBe(first.attestationKeys.current.public.pem);
  expect(first.installationId).toMatch(/^[a-z2-9]{12}$/);
  expect(Buffer.from(first.masterKey.reveal(), 'base64')).toHaveLength(32);
  expect(first.adminToken.reveal()).toMatch(/^bough_.{32}$/);
  expect((await stat(path)).mode & 0o777).toBe(0o700);
  for (const file of ['master-key', 'attestation-key', 'admin-token', 'installation-id']) {
    expect((await stat(join(path, file))).mode & 0o777).toBe(0o600);
  }
  expect((await stat(first.directories.postgres)).isDirectory()).toBe(true);
});

test('several first starts at once agree, and leave no temporary file', async () => {
  const homes = await Promise.all(Array.from({ length: 10 }, () => openHome({ path })));
  expect(new Set(homes.map((home) => home.installationId)).size).toBe(1);
  expect(new Set(homes.map((home) => home.masterKey.reveal())).size).toBe(1);
  const files = (await readdir(path, { withFileTypes: true })).filter((entry) => entry.isFile());
  expect(files.map((file) => file.name).sort()).toEqual([
    'admin-token',
    'attestation-key',
    'installation-id',
    'master-key',
  ]);
});

test('closes a directory that others could read', async () => {
  await mkdir(path, { mode: 0o755 });
  await chmod(path, 0o755);
  await openHome({ path });
  expect((await stat(path)).mode & 0o777).toBe(0o700);
});

test('takes keys that the operator keeps elsewhere, and writes none', async () => {
  const masterKey = new Secret(Buffer.alloc(32, 7).toString('base64'));
  const home = await openHome({ path, masterKey, adminToken: new Secret('bough_mine') });
  expect(home.masterKey).toBe(masterKey);
  expect(home.adminToken.reveal()).toBe('bough_mine');
  expect(await readdir(path)).not.toContain('master-key');
});

test('refuses a master key that is not one, without printing it', async () => {
  await mkdir(path, { mode: 0o700 });
  await writeFile(join(path, 'master-key'), 'c2hvcnQ=\n', { mode: 0o600 });
  const error: unknown = await openHome({ path }).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({
    code: 'master-key-malformed',
    message: expect.stringContaining('master-key'),
  });
  expect(JSON.stringify(error) + String(error)).not.toContain('c2hvcnQ');
});

test('one server per home, and the next may have it as soon as the first is gone', async () => {
  await openHome({ path });
  const release = await claimHome(path);
  await expect(claimHome(path)).rejects.toMatchObject({
    code: 'already-serving',
    message: expect.stringContaining(`process ${process.pid}`),
  });
  await release();
  const again = await claimHome(path);
  await again();
});
