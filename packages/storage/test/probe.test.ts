import { execFile } from 'node:child_process';
import { chmod, chown, mkdtemp, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { diskDirectory } from '@bough/testkit/memory-directory';
import { afterEach, describe, expect, it } from 'vitest';
import { chooseStorage } from '../src/probe.ts';
import { makeLoopDisk, whyNoLoopDisk } from './loop-disk.ts';

const run = promisify(execFile);
const log = { info: () => {} };
const labels = { installationId: 'one', environmentId: '1', name: 'x', kind: 'preview' as const };
const cleanUps: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

const choose = (root: string, want: 'auto' | 'btrfs' | 'reflink' | 'copy' = 'auto') =>
  chooseStorage({ root, want, installationId: 'one', log });

for (const [fileSystem, expected] of [
  ['btrfs', 'btrfs'],
  ['xfs', 'reflink'],
  ['ext4', 'copy'],
] as const) {
  const why = await whyNoLoopDisk(fileSystem);
  describe.skipIf(why !== undefined)(
    `on ${fileSystem}${why === undefined ? '' : ` - SKIPPED: ${why}`}`,
    () => {
      it(`chooses ${expected}, says what it tried, and leaves no trace of trying`, async () => {
        const disk = await makeLoopDisk(fileSystem, fileSystem === 'xfs' ? 320 : 128);
        cleanUps.push(disk.remove);
        const root = join(disk.path, 'storage');
        const { storage, tried } = await choose(root);
        expect(storage.kind).toBe(expected);
        expect(tried.at(-1)).toMatchObject({ kind: expected, ok: true });
        expect(tried.slice(0, -1).every(({ ok, why: reason }) => !ok && reason !== '')).toBe(true);
        expect(await readdir(root)).toEqual(['kind']);
      });
    },
  );
}

describe('anywhere', () => {
  it('copies when asked to, and keeps to a kind as long as there are volumes of it', async () => {
    const root = await temporary();
    const { storage } = await choose(root, 'copy');
    expect(storage.kind).toBe('copy');
    await storage.ensure({ id: 'v', labels });
    expect((await choose(root)).storage.kind).toBe('copy');
    await expect(choose(root, 'btrfs')).rejects.toMatchObject({ code: 'storage-differs' });
    await storage.remove('v');
    await choose(root, 'reflink').catch((error) => expect(error.code).toBe('storage-unavailable'));
  });
});

const whyNotUser = (await whyNoLoopDisk('btrfs')) ?? (await whyNotReachable());
describe.skipIf(whyNotUser !== undefined)(
  `as an ordinary user${whyNotUser === undefined ? '' : ` - SKIPPED: ${whyNotUser}`}`,
  () => {
    for (const [fileSystem, options, expected] of [
      ['btrfs', 'loop', 'btrfs'],
      ['btrfs', 'loop,user_subvol_rm_allowed', 'btrfs'],
      ['xfs', 'loop', 'reflink'],
      ['ext4', 'loop', 'copy'],
    ] as const) {
      it(`works on ${fileSystem} mounted with ${options}`, async () => {
        const disk = await makeLoopDisk(fileSystem, fileSystem === 'xfs' ? 320 : 128, options);
        cleanUps.push(disk.remove);
        await chmod(join(disk.path, '..'), 0o755);
        await chown(disk.path, 65534, 65534);
        const script = fileURLToPath(new URL('use-storage.ts', import.meta.url));
        const { stdout } = await run(
          process.execPath,
          ['--import', 'tsx', script, join(disk.path, 'storage')],
          { uid: 65534, gid: 65534, env: { PATH: process.env.PATH, TMPDIR: disk.path, HOME: disk.path } },
        );
        expect(JSON.parse(stdout)).toEqual({ kind: expected, cloned: 'data', left: [] });
      });
    }
  },
);

/** A checkout or a Node below a private home (0700) is out of reach for another user. */
async function whyNotReachable(): Promise<string | undefined> {
  const script = fileURLToPath(new URL('use-storage.ts', import.meta.url));
  const read = `require('node:fs').readFileSync(${JSON.stringify(script)})`;
  return run(process.execPath, ['--import', 'tsx', '--eval', read], { uid: 65534, gid: 65534 }).then(
    () => undefined,
    () => 'this checkout or this Node cannot be read by another user',
  );
}

async function temporary(): Promise<string> {
  const home = await mkdtemp(join(diskDirectory(), 'bough-storage-'));
  cleanUps.push(() => rm(home, { recursive: true, force: true }));
  return join(home, 'storage');
}
