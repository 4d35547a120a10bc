import { execFile } from 'node:child_process';
import { chmod, chown, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { BoughError } from '@bough/domain/bough-error';
import { diskDirectory } from '@bough/testkit/memory-directory';
import { waitFor } from '@bough/testkit/wait-for';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { initPool } from '../src/pool/init-pool.ts';
import { mountPool } from '../src/pool/mount-pool.ts';
import { mountedAt } from '../src/pool/pool.ts';
import { removePool } from '../src/pool/remove-pool.ts';
import { storageStatus } from '../src/pool/storage-status.ts';
import { chooseStorage } from '../src/probe.ts';
import type { ToolPlaces } from '../src/run-tool.ts';
import { whyNoLoopDisk } from './loop-disk.ts';

const run = promisify(execFile);
const labels = { installationId: 'one', environmentId: '1', name: 'x', kind: 'preview' as const };
const installed: ToolPlaces = { bin: [], libraryPath: [] };
const sizeBytes = 512 * 1024 * 1024;

let home = '';
beforeEach(async () => {
  home = await mkdtemp(join(diskDirectory(), 'bough-pool-'));
});
afterEach(async () => {
  if ((await mountedAt(join(home, 'volumes'))) !== undefined) await run('umount', [join(home, 'volumes')]);
  await rm(home, { recursive: true, force: true });
});

const init = (options: { sizeBytes?: number; btrfs?: () => Promise<ToolPlaces> } = {}) =>
  initPool({
    home,
    sizeBytes: options.sizeBytes ?? sizeBytes,
    tools: (name) => (name === 'btrfs-progs' && options.btrfs ? options.btrfs() : Promise.resolve(installed)),
  });
const status = () => storageStatus(home, { want: 'auto' });
const choose = async () =>
  (
    await chooseStorage({
      root: join(home, 'volumes'),
      want: 'auto',
      installationId: 'one',
      log: { info() {} },
    })
  ).storage;

const why = await whyNoLoopDisk('btrfs');
describe.skipIf(why !== undefined)(`a pool in a file${why === undefined ? '' : ` - SKIPPED: ${why}`}`, () => {
  it('is chosen, survives a restart, and goes only when it is empty', async () => {
    const pool = await init();
    expect(pool).toMatchObject({ fileSystem: 'btrfs', sizeBytes });
    expect((await stat(join(home, 'volumes'))).mode & 0o077).toBe(0);
    const storage = await choose();
    expect(storage.kind).toBe('btrfs');
    const volume = await storage.ensure({ id: 'v', labels });
    await writeFile(join(volume.path, 'file'), 'kept');
    expect(await status()).toMatchObject({
      ...{ kind: 'btrfs', volumes: 1, snapshots: 0 },
      pool: { isMounted: true, isOvercommitted: false },
    });
    await expect(init()).rejects.toMatchObject({ code: 'storage-initialised' });
    await expect(removePool(home)).rejects.toMatchObject({ code: 'storage-in-use' });

    await run('umount', [join(home, 'volumes')]);
    expect(await status()).toMatchObject({ kind: undefined, pool: { isMounted: false } });
    await mountPool(home);
    await mountPool(home);
    const after = await choose();
    expect(await readFile(join((await after.ensure({ id: 'v', labels })).path, 'file'), 'utf8')).toBe('kept');

    await after.remove('v');
    await removePool(home);
    expect(await readdir(home)).toEqual(['volumes']);
    expect(await readdir(join(home, 'volumes'))).toEqual([]);
    expect(await mountedAt(join(home, 'volumes'))).toBeUndefined();
    expect(await mountPool(home)).toBeUndefined();
    await expect(removePool(home)).rejects.toMatchObject({ code: 'storage-not-initialised' });
  });

  it('is XFS where btrfs cannot be had, and says why', async () => {
    const missing = new BoughError({ code: 'toolchain-not-available', message: 'There is no btrfs-progs.' });
    const pool = await init({ btrfs: () => Promise.reject(missing) });
    expect(pool).toMatchObject({ fileSystem: 'xfs', why: 'btrfs: There is no btrfs-progs.' });
    expect((await choose()).kind).toBe('reflink');
    await removePool(home);
  });

  it('is not made where it would hide volumes, does not fit or is too small', async () => {
    await expect(init({ sizeBytes: 1024 ** 5 })).rejects.toMatchObject({
      code: 'disk-full',
      hint: expect.stringMatching(/--size \d+[MG]/),
    });
    await expect(init({ sizeBytes: 1024 })).rejects.toMatchObject({ code: 'storage-too-small' });
    await (await choose()).ensure({ id: 'v', labels });
    await expect(init()).rejects.toMatchObject({ code: 'storage-in-use' });
    expect(await readdir(home)).toEqual(['volumes']);
  });

  it('that a killed process left half-made is cleared away and made anew', async () => {
    await init();
    // As if the process had died just before it wrote the record.
    await rm(join(home, 'pool/pool.json'));
    expect(await init()).toMatchObject({ fileSystem: 'btrfs' });
    expect((await run('losetup', ['-j', join(home, 'pool/image')])).stdout.trim().split('\n')).toHaveLength(
      1,
    );
    await removePool(home);
    // The kernel lets go of it when nobody looks at it any more, such as another test that looks for a free one.
    await waitFor(
      'the loop device to be free',
      async () => !(await run('losetup', ['-a'])).stdout.includes(home),
      { timeoutMs: 30_000 },
    );
  });

  it('belongs to whom the home belongs, who can use it but not mount it', async () => {
    await chown(home, 65534, 65534);
    await chmod(home, 0o755);
    await init();
    for (const name of ['pool', 'volumes']) expect((await stat(join(home, name))).uid).toBe(65534);
    await run('umount', [join(home, 'volumes')]);
    const script = `
      import { mountPool } from ${JSON.stringify(new URL('../src/pool/mount-pool.ts', import.meta.url).href)};
      process.seteuid(65534);
      await mountPool(${JSON.stringify(home)}).catch((error) => console.log(error.code, error.hint));`;
    const { stdout } = await run(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script]);
    expect(stdout).toMatch(/^storage-needs-root Run: sudo mount -t btrfs .*\/pool\/image .*\/volumes\n$/);
  });
});

describe('without a pool', () => {
  it('says what is used instead, and changes nothing', async () => {
    await mkdir(join(home, 'deeper'));
    const found = await storageStatus(join(home, 'deeper/home'), { want: 'auto' });
    expect(found.kind).toBeDefined();
    expect(found.pool).toBeUndefined();
    expect(await readdir(join(home, 'deeper'))).toEqual([]);
    expect(await mountPool(home)).toBeUndefined();
  });
});
