import { mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { diskDirectory } from '@bough/testkit/memory-directory';
import { waitFor } from '@bough/testkit/wait-for';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { storages } from '../src/registry.ts';
import { runTool } from '../src/run-tool.ts';
import type { Storage } from '../src/storage.ts';
import { makeLoopDisk, whyNoLoopDisk } from './loop-disk.ts';

const labels = { installationId: 'one', environmentId: '1', name: 'x', kind: 'preview' as const };
let home = '';
beforeEach(async () => {
  home = await mkdtemp(join(diskDirectory(), 'bough-warm-'));
});
afterEach(() => rm(home, { recursive: true, force: true }));

describe('copies made ahead', () => {
  it('are what a clone takes, and are made again', async () => {
    const storage = open();
    await freeze(storage, 's-a', 'first');
    expect(await state(storage)).toEqual({ ready: {} });
    await keep(storage, ['s-a']);
    expect(await state(storage)).toEqual({ ready: { 's-a': 2 } });
    await mark('s-a');
    const made = await Promise.all(
      ['v-b', 'v-c', 'v-d', 'v-e'].map((id) => storage.ensure({ id, labels, from: 's-a' })),
    );
    for (const { path } of made) expect(await readFile(join(path, 'file'), 'utf8')).toBe('first');
    const marked = await Promise.all(made.map(async ({ path }) => (await readdir(path)).includes('ahead')));
    expect(marked.filter(Boolean).length).toBe(2);
    expect(new Set(made.map(({ from }) => from))).toEqual(new Set(['s-a']));
    await storage.warm?.settled();
    expect(await state(storage)).toEqual({ ready: { 's-a': 2 } });
    // What was taken is the volume's own.
    await writeFile(join(made[0]?.path ?? '', 'file'), 'changed');
    const later = await storage.ensure({ id: 'v-f', labels, from: 's-a' });
    expect(await readFile(join(later.path, 'file'), 'utf8')).toBe('first');
    await storage.warm?.close();
  });

  it('go with their snapshot, and when another one is wanted', async () => {
    const storage = open();
    await freeze(storage, 's-a', 'first');
    await freeze(storage, 's-b', 'second');
    await keep(storage, ['s-a']);
    await keep(storage, ['s-b']);
    expect(await state(storage)).toEqual({ ready: { 's-b': 2 } });
    storage.warm?.keep(['s-a', 's-b']);
    // In the midst of being made.
    await storage.removeSnapshot('s-a');
    await storage.warm?.settled();
    expect(await state(storage)).toEqual({ ready: { 's-b': 2 } });
    await expect(storage.ensure({ id: 'v-z', labels, from: 's-a' })).rejects.toMatchObject({
      code: 'snapshot-absent',
    });
    await storage.removeSnapshot('s-b');
    expect(await readdir(home)).not.toContain('ready');
  });

  it('wait for the next process, and none are made when none are configured', async () => {
    const first = open();
    await freeze(first, 's-a', 'first');
    await keep(first, ['s-a']);
    await first.warm?.close();
    await mark('s-a');
    const second = open(0);
    const volume = await second.ensure({ id: 'v-b', labels, from: 's-a' });
    expect(await readdir(volume.path)).toContain('ahead');
    await keep(second, ['s-a']);
    expect(await state(second)).toEqual({ ready: {} });
  });

  it('are not used when they were made before the machine last started, for a power cut may have spoiled them', async () => {
    const storage = open();
    await freeze(storage, 's-a', 'first');
    await keep(storage, ['s-a']);
    await mark('s-a');
    const folder = join(home, 'ready/s-a');
    for (const name of await readdir(folder))
      await rename(join(folder, name), join(folder, name.replace(/^[0-9a-f]{8}/, '00000000')));
    const volume = await storage.ensure({ id: 'v-b', labels, from: 's-a' });
    expect(await readdir(volume.path)).toEqual(['file']);
    await keep(storage, ['s-a']);
    expect(await readdir(folder)).toHaveLength(2);
    expect(await readdir(folder)).not.toContainEqual(expect.stringMatching(/^00000000/));
  });

  it('are not made while a preview that took one may be starting, unless somebody asks', async () => {
    const storage = open();
    await freeze(storage, 's-a', 'first');
    await keep(storage, ['s-a']);
    await storage.ensure({ id: 'v-b', labels, from: 's-a' });
    expect(await state(storage)).toEqual({ ready: { 's-a': 1 } });
    await waitFor('another one', async () => (await state(storage))?.ready['s-a'] === 2);
    await storage.warm?.close();
  });
});

for (const [kind, fileSystem] of [
  ['reflink', 'xfs'],
  ['btrfs', 'btrfs'],
] as const) {
  const why = await whyNoLoopDisk(fileSystem);
  describe.skipIf(why !== undefined)(
    `copies made ahead on ${kind}${why === undefined ? '' : ` - SKIPPED: ${why}`}`,
    () => {
      it('are whole, writable, shared with nobody, and leave nothing', async () => {
        const disk = await makeLoopDisk(fileSystem, 512);
        try {
          const storage = storages[kind]({ root: disk.path, installationId: 'one', warmCopies: 2 });
          await freeze(storage, 's-a', 'first');
          await keep(storage, ['s-a']);
          expect(await state(storage)).toEqual({ ready: { 's-a': 2 } });
          for (const name of await readdir(join(disk.path, 'ready/s-a')))
            await writeFile(join(disk.path, 'ready/s-a', name, 'ahead'), '');
          const ids = ['v-b', 'v-c', 'v-d'];
          const made = await Promise.all(ids.map((id) => storage.ensure({ id, labels, from: 's-a' })));
          const names = await Promise.all(made.map(async ({ path }) => (await readdir(path)).length));
          expect(names.sort()).toEqual([1, 2, 2]);
          for (const { path } of made) await writeFile(join(path, 'file'), 'changed');
          const [snapshot] = await storage.listSnapshots();
          expect(await readFile(join(snapshot?.path ?? '', 'file'), 'utf8')).toBe('first');
          await storage.warm?.settled();
          expect(await state(storage)).toEqual({ ready: { 's-a': 2 } });
          for (const id of [...ids, 'v-s-a']) await storage.remove(id);
          await storage.removeSnapshot('s-a');
          expect(await readdir(disk.path)).not.toContain('ready');
          expect(await readdir(join(disk.path, 'volumes'))).toEqual([]);
          if (kind === 'btrfs') expect(await subvolumes(disk.path)).toBe('');
          await storage.warm?.close();
        } finally {
          await disk.remove();
        }
      }, 60_000);
    },
  );
}

async function subvolumes(path: string): Promise<string> {
  return (await runTool('btrfs', ['subvolume', 'list', path])).stdout;
}

function open(warmCopies?: number): Storage {
  return storages.copy({
    root: home,
    installationId: 'one',
    ...(warmCopies === undefined ? {} : { warmCopies }),
  });
}

async function freeze(storage: Storage, id: string, text: string): Promise<void> {
  const volume = await storage.ensure({ id: `v-${id}`, labels });
  await writeFile(join(volume.path, 'file'), text);
  await storage.snapshot(volume.id, { id, labels });
}

async function keep(storage: Storage, snapshotIds: string[]): Promise<void> {
  storage.warm?.keep(snapshotIds);
  await storage.warm?.settled();
}

async function state(storage: Storage) {
  return storage.warm?.state();
}

/** So that a clone that took a waiting copy can be told from one that was copied. */
async function mark(snapshotId: string): Promise<void> {
  const folder = join(home, 'ready', snapshotId);
  for (const name of await readdir(folder)) await writeFile(join(folder, name, 'ahead'), '');
}
