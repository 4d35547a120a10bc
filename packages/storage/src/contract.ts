import { execFile } from 'node:child_process';
import {
  chmod,
  link,
  lstat,
  mkdir,
  readdir,
  readFile,
  readlink,
  rm,
  stat,
  symlink,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import type { Storage, StorageLabels } from './storage.ts';

const run = promisify(execFile);

export interface StorageUnderTest {
  readonly root: string;
  open(installationId: string): Storage;
}

/**
 * What every storage promises (storage.ts), whatever is below it. The fake, which copies by Node alone, is excused from
 * `fidelity` (holes, hard links) and from `live` copies of files that come and go.
 */
export function storageContract(
  prepare: () => Promise<StorageUnderTest>,
  { fidelity = true, live = true }: { fidelity?: boolean; live?: boolean } = {},
): void {
  const labels = (name: string, kind: StorageLabels['kind'] = 'preview'): StorageLabels => ({
    installationId: 'one',
    environmentId: '7',
    name,
    kind,
  });
  const start = async () => {
    const under = await prepare();
    return { ...under, storage: under.open('one') };
  };

  describe('volumes', () => {
    it('are made empty, writable and private, and are listed with their labels', async () => {
      const { storage } = await start();
      const volume = await storage.ensure({ id: 'v-a', labels: labels('service:database') });
      await writeFile(join(volume.path, 'file'), 'kept');
      expect(await storage.list()).toEqual([volume]);
      expect(await storage.observe('v-a')).toEqual(volume);
      expect(volume.labels).toEqual(labels('service:database'));
      expect((await stat(volume.path)).mode & 0o077).toBe(0);
    });

    it('that are there are returned untouched', async () => {
      const { storage } = await start();
      const first = await storage.ensure({ id: 'v-a', labels: labels('x') });
      await writeFile(join(first.path, 'file'), 'kept');
      const again = await storage.ensure({ id: 'v-a', labels: labels('x'), from: 'no-such-snapshot' });
      expect(again).toEqual(first);
      expect(await readFile(join(again.path, 'file'), 'utf8')).toBe('kept');
    });

    it('are found by a storage that is opened later', async () => {
      const { storage, open } = await start();
      const volume = await storage.ensure({ id: 'v-a', labels: labels('x') });
      expect(await open('one').list()).toEqual([volume]);
    });

    it('are made once when asked for by many at once, in one process or several storages', async () => {
      const { storage, open } = await start();
      const source = await storage.ensure({ id: 'v-a', labels: labels('x') });
      await writeFile(join(source.path, 'file'), 'data');
      await storage.snapshot('v-a', { id: 's-a', labels: labels('x') });
      const other = open('one');
      const spec = { id: 'v-b', labels: labels('x'), from: 's-a' };
      const made = await Promise.all([1, 2, 3, 4, 5, 6].map((n) => (n % 2 ? storage : other).ensure(spec)));
      for (const volume of made) expect(volume).toEqual(made[0]);
      expect((await storage.list()).map(({ id }) => id)).toEqual(['v-a', 'v-b']);
      expect(await readFile(join(made[0]?.path ?? '', 'file'), 'utf8')).toBe('data');
    });

    it('go without a trace, and removing what is absent succeeds', async () => {
      const { storage, root } = await start();
      const volume = await storage.ensure({ id: 'v-a', labels: labels('x') });
      await mkdir(join(volume.path, 'locked'));
      await writeFile(join(volume.path, 'locked/file'), 'x');
      await chmod(join(volume.path, 'locked'), 0o500);
      await storage.remove('v-a');
      await storage.remove('v-a');
      expect(await storage.list()).toEqual([]);
      expect(await storage.observe('v-a')).toBeUndefined();
      expect(await readdir(join(root, 'volumes'))).toEqual([]);
    });

    it('of another installation are not listed and not touched', async () => {
      const { storage, open } = await start();
      const volume = await storage.ensure({ id: 'v-a', labels: labels('x') });
      const stranger = open('two');
      expect(await stranger.list()).toEqual([]);
      await expect(stranger.remove('v-a')).rejects.toMatchObject({ code: 'storage-foreign' });
      await expect(
        stranger.ensure({ id: 'v-a', labels: { ...labels('x'), installationId: 'two' } }),
      ).rejects.toMatchObject({ code: 'storage-foreign' });
      expect(await storage.list()).toEqual([volume]);
    });

    it('have ids that cannot leave the root', async () => {
      const { storage } = await start();
      for (const id of ['../x', 'A', '', '.partial-1', 'a/b', 'x'.repeat(64), '-x']) {
        await expect(storage.ensure({ id, labels: labels('x') })).rejects.toMatchObject({
          code: 'storage-id-malformed',
        });
      }
    });
  });

  describe('snapshots', () => {
    it('are frozen: neither the volume nor a clone changes them', async () => {
      const { storage } = await start();
      const volume = await storage.ensure({ id: 'v-a', labels: labels('x', 'production') });
      await writeFile(join(volume.path, 'file'), 'before');
      const snapshot = await storage.snapshot('v-a', { id: 's-a', labels: labels('x') });
      await writeFile(join(volume.path, 'file'), 'after');
      const clone = await storage.ensure({ id: 'v-b', labels: labels('x'), from: 's-a' });
      expect(await readFile(join(clone.path, 'file'), 'utf8')).toBe('before');
      await writeFile(join(clone.path, 'file'), 'clone');
      await writeFile(join(clone.path, 'new'), 'clone');
      expect(await readFile(join(snapshot.path, 'file'), 'utf8')).toBe('before');
      expect(await readdir(snapshot.path)).toEqual(['file']);
      expect(await readFile(join(volume.path, 'file'), 'utf8')).toBe('after');
      expect(clone.from).toBe('s-a');
      expect(await storage.listSnapshots()).toEqual([snapshot]);
      expect(snapshot).toMatchObject({ id: 's-a', volumeId: 'v-a' });
      expect(snapshot.sizeBytes).toBeGreaterThan(0);
    });

    it('and volumes outlive one another', async () => {
      const { storage, root } = await start();
      const volume = await storage.ensure({ id: 'v-a', labels: labels('x') });
      await writeFile(join(volume.path, 'file'), 'data');
      await storage.snapshot('v-a', { id: 's-a', labels: labels('x') });
      await storage.remove('v-a');
      const clone = await storage.ensure({ id: 'v-b', labels: labels('x'), from: 's-a' });
      await storage.removeSnapshot('s-a');
      await storage.removeSnapshot('s-a');
      expect(await readFile(join(clone.path, 'file'), 'utf8')).toBe('data');
      expect(await storage.listSnapshots()).toEqual([]);
      expect(await readdir(join(root, 'snapshots'))).toEqual([]);
    });

    it('that are there are returned untouched, but only for their own volume', async () => {
      const { storage } = await start();
      const volume = await storage.ensure({ id: 'v-a', labels: labels('x') });
      await storage.ensure({ id: 'v-b', labels: labels('x') });
      const first = await storage.snapshot('v-a', { id: 's-a', labels: labels('x') });
      await writeFile(join(volume.path, 'file'), 'later');
      expect(await storage.snapshot('v-a', { id: 's-a', labels: labels('x') })).toEqual(first);
      expect(await readdir(first.path)).toEqual([]);
      await expect(storage.snapshot('v-b', { id: 's-a', labels: labels('x') })).rejects.toMatchObject({
        code: 'snapshot-conflict',
      });
    });

    it('of what is absent, and clones from what is absent, are refused in words', async () => {
      const { storage, root } = await start();
      await expect(storage.snapshot('v-a', { id: 's-a', labels: labels('x') })).rejects.toMatchObject({
        code: 'volume-absent',
      });
      await expect(storage.ensure({ id: 'v-b', labels: labels('x'), from: 's-z' })).rejects.toMatchObject({
        code: 'snapshot-absent',
      });
      await expect(readdir(join(root, 'volumes')).catch(() => [])).resolves.toEqual([]);
    });

    it('let a server take part where the copy is not atomic, and always release it', async () => {
      const { storage, root } = await start();
      const volume = await storage.ensure({ id: 'v-a', labels: labels('x') });
      await writeFile(join(volume.path, 'file'), 'data');
      const calls: string[] = [];
      const hooks = (failAt?: string) => {
        const call = (name: string) => {
          calls.push(name);
          if (name === failAt) throw new Error(`${name} fails`);
        };
        return {
          begin: async () => call('begin'),
          end: async (paths: { source: string; copy: string }) => {
            expect(await readFile(join(paths.copy, 'file'), 'utf8')).toBe('data');
            await writeFile(join(paths.copy, 'label'), paths.source === volume.path ? 'ok' : 'wrong');
            call('end');
          },
          release: async () => call('release'),
        };
      };
      const snapshot = await storage.snapshot('v-a', { id: 's-a', labels: labels('x') }, hooks());
      expect(calls).toEqual(storage.atomic ? [] : ['begin', 'end', 'release']);
      if (storage.atomic) return;
      expect(await readFile(join(snapshot.path, 'label'), 'utf8')).toBe('ok');
      calls.length = 0;
      const failing = storage.snapshot('v-a', { id: 's-b', labels: labels('x') }, hooks('end'));
      await expect(failing).rejects.toThrow('end fails');
      expect(calls).toEqual(['begin', 'end', 'release']);
      expect((await storage.listSnapshots()).map(({ id }) => id)).toEqual(['s-a']);
      expect(await readdir(join(root, 'snapshots'))).toEqual(['s-a']);
      calls.length = 0;
      const notBegun = storage.snapshot('v-a', { id: 's-b', labels: labels('x') }, hooks('begin'));
      await expect(notBegun).rejects.toThrow('begin fails');
      expect(calls).toEqual(['begin']);
    });

    if (live)
      it('tolerate files that come and go while they are taken', async () => {
        const { storage } = await start();
        const volume = await storage.ensure({ id: 'v-a', labels: labels('x') });
        for (let n = 0; n < 400; n += 1) await writeFile(join(volume.path, `file-${n}`), 'x'.repeat(20_000));
        await writeFile(join(volume.path, 'steady'), 'steady');
        let stop = false;
        const churn = (async () => {
          for (let n = 0; !stop; n = (n + 1) % 400) {
            await rm(join(volume.path, `file-${n}`), { force: true });
            await writeFile(join(volume.path, `file-${n}`), 'y'.repeat(20_000));
          }
        })();
        try {
          for (let n = 0; n < 5; n += 1) {
            const snapshot = await storage.snapshot('v-a', { id: `s-${n}`, labels: labels('x') });
            expect(await readFile(join(snapshot.path, 'steady'), 'utf8')).toBe('steady');
          }
        } finally {
          stop = true;
          await churn;
        }
      });
  });

  if (fidelity)
    it('keeps modes, times, links, hard links and holes', async () => {
      const { storage } = await start();
      const volume = await storage.ensure({ id: 'v-a', labels: labels('x') });
      const at = (name: string) => join(volume.path, name);
      await mkdir(at('folder'), { mode: 0o750 });
      await writeFile(at('folder/script'), '#!/bin/sh\n', { mode: 0o755 });
      await symlink('folder/script', at('relative'));
      await symlink('/nowhere/at/all', at('dangling'));
      await link(at('folder/script'), at('hard'));
      await writeFile(at('sparse'), '');
      await truncate(at('sparse'), 50_000_000);
      await utimes(at('sparse'), 1_000_000_000, 1_000_000_000);
      await writeFile(at("it's a name\nwith everything"), 'x');
      await storage.snapshot('v-a', { id: 's-a', labels: labels('x') });
      const clone = await storage.ensure({ id: 'v-b', labels: labels('x'), from: 's-a' });
      const of = (name: string) => join(clone.path, name);
      expect((await stat(of('folder'))).mode & 0o777).toBe(0o750);
      expect((await stat(of('folder/script'))).mode & 0o777).toBe(0o755);
      expect(await readlink(of('relative'))).toBe('folder/script');
      expect(await readlink(of('dangling'))).toBe('/nowhere/at/all');
      expect((await lstat(of('hard'))).ino).toBe((await lstat(of('folder/script'))).ino);
      const sparse = await stat(of('sparse'));
      expect(sparse).toMatchObject({ size: 50_000_000, mtimeMs: 1_000_000_000_000 });
      expect(sparse.blocks).toBeLessThan(1_000);
      const { stdout } = await run('diff', ['-r', '--no-dereference', volume.path, clone.path]);
      expect(stdout).toBe('');
    });

  it('measures what a volume takes', async () => {
    const { storage } = await start();
    const volume = await storage.ensure({ id: 'v-a', labels: labels('x') });
    await writeFile(join(volume.path, 'file'), Buffer.alloc(3_000_000, 7));
    await run('sync', ['-f', volume.path]);
    const usage = await storage.usage('v-a');
    if (storage.kind !== 'fake') expect(usage.exclusiveBytes).toBeGreaterThan(2_900_000);
    await storage.snapshot('v-a', { id: 's-a', labels: labels('x') });
    await storage.ensure({ id: 'v-b', labels: labels('x'), from: 's-a' });
    const clone = await storage.usage('v-b');
    if (clone.exact) expect(clone.exclusiveBytes).toBeLessThan(1_000_000);
  });
}
