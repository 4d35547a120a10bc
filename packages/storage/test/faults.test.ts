import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { compiledProgram } from '@bough/testkit/compiled-programs';
import { afterEach, describe, expect, it } from 'vitest';
import { type LocalStorageKind, storages } from '../src/registry.ts';
import { runTool } from '../src/run-tool.ts';
import { makeLoopDisk, whyNoLoopDisk } from './loop-disk.ts';

const labels = { installationId: 'one', environmentId: '1', name: 'x', kind: 'preview' as const };
const cleanUps: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

for (const [kind, fileSystem] of [
  ['copy', undefined],
  ['reflink', 'xfs'],
  ['btrfs', 'btrfs'],
] as const) {
  const why = fileSystem === undefined ? undefined : await whyNoLoopDisk(fileSystem);
  describe.skipIf(why !== undefined)(`SIGKILL on ${kind}${skipped(why)}`, () => {
    for (const action of ['snapshot', 'ensure', 'remove'] as const) {
      it(`during ${action} leaves nothing half-made listed, and it is swept`, async () => {
        const root = join(await place(fileSystem, 768), 'root');
        const storage = storages[kind]({ root, installationId: 'one' });
        await fillSource(kind, root, 2_000);
        await storage.snapshot('source', { id: 'frozen', labels });
        let interrupted = 0;
        for (let round = 0; round < 4; round += 1) {
          await storage.ensure({ id: 'clone', labels, from: 'frozen' });
          const finished = await killAfter({ kind, root, action }, 2 + round * 25);
          if (!finished) interrupted += 1;
          for (const made of [...(await storage.list()), ...(await storage.listSnapshots())]) {
            if (made.id !== 'source') expect(await countFiles(made.path)).toBe(2_000);
          }
          await storage.remove('made');
          await storage.removeSnapshot('made');
          await storage.ensure({ id: `sweeper-${round}`, labels });
          await storage.remove(`sweeper-${round}`);
          expect(await names(root, 'volumes')).toEqual(expect.arrayContaining(['source']));
          expect([...(await names(root, 'volumes')), ...(await names(root, 'snapshots'))]).not.toEqual(
            expect.arrayContaining([expect.stringMatching(/^\.partial/)]),
          );
        }
        expect(interrupted).toBeGreaterThan(0);
        await storage.remove('clone');
      }, 120_000);
    }
  });
}

describe('SIGKILL while copies are made ahead', () => {
  it('leaves only whole ones to be taken, and the rest is swept', async () => {
    const root = join(await place(undefined, 0), 'root');
    const storage = storages.copy({ root, installationId: 'one' });
    await fillSource('copy', root, 300);
    await storage.snapshot('source', { id: 'frozen', labels });
    let interrupted = 0;
    for (let round = 0; round < 3; round += 1) {
      const finished = await killAfter({ kind: 'copy', root, action: 'warm' }, 2 + round * 40);
      if (!finished) interrupted += 1;
      for (const id of ['one', 'two', 'three']) {
        const clone = await storage.ensure({ id, labels, from: 'frozen' });
        expect(await countFiles(clone.path)).toBe(300);
        await storage.remove(id);
      }
    }
    expect(interrupted).toBeGreaterThan(0);
    storage.warm?.keep(['frozen']);
    await storage.warm?.settled();
    expect(await names(root, 'ready/frozen')).toEqual([
      expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{16}$/),
      expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{16}$/),
    ]);
    await storage.removeSnapshot('frozen');
    expect(await readdir(root)).not.toContain('ready');
  }, 120_000);
});

for (const [kind, fileSystem] of [
  ['copy', 'ext4'],
  ['reflink', 'xfs'],
  ['btrfs', 'btrfs'],
] as const) {
  const why = await whyNoLoopDisk(fileSystem);
  describe.skipIf(why !== undefined)(`a full disk on ${kind}${skipped(why)}`, () => {
    it('is told in sizes, leaves nothing behind, and the next attempt works once there is room', async () => {
      const root = join(await place(fileSystem, fileSystem === 'ext4' ? 64 : 320), 'root');
      const storage = storages[kind]({ root, installationId: 'one' });
      const volume = await storage.ensure({ id: 'source', labels });
      await writeFile(join(volume.path, 'data'), Buffer.alloc(8_000_000, 1));
      // A clone by reflink needs room for its inodes alone, so there must be many.
      const files = kind === 'reflink' ? 4_000 : 300;
      for (let n = 0; n < files; n += 1) await writeFile(join(volume.path, `file-${n}`), 'x'.repeat(3_000));
      await storage.snapshot('source', { id: 'frozen', labels });
      const ballast = join(root, 'ballast');
      await mkdir(ballast);
      await fillDisk(ballast);
      const failure = await storage
        .ensure({ id: 'clone', labels, from: 'frozen' })
        .then(() => undefined)
        .catch((error: unknown) => error);
      // A snapshot on btrfs takes no room to speak of: it may well fit when nothing else does.
      if (kind !== 'btrfs' || failure !== undefined) {
        expect(failure).toMatchObject({
          code: 'disk-full',
          retryable: true,
          message: expect.stringMatching(/clone needs [\d.]+ MB and [\d.]+ MB are free/),
        });
        expect(await names(root, 'volumes')).toEqual(['source']);
      }
      await rm(ballast, { recursive: true });
      const clone = await storage.ensure({ id: 'clone', labels, from: 'frozen' });
      expect(await countFiles(clone.path)).toBe(files + 1);
    }, 60_000);
  });
}

function skipped(why: string | undefined): string {
  return why === undefined ? '' : ` - SKIPPED: ${why}`;
}

async function place(fileSystem: 'xfs' | 'btrfs' | 'ext4' | undefined, megabytes: number): Promise<string> {
  if (fileSystem !== undefined) {
    const disk = await makeLoopDisk(fileSystem, megabytes);
    cleanUps.push(disk.remove);
    return disk.path;
  }
  const home = await mkdtemp(join(tmpdir(), 'bough-storage-'));
  cleanUps.push(() => rm(home, { recursive: true, force: true }));
  return home;
}

async function fillSource(kind: LocalStorageKind, root: string, files: number): Promise<void> {
  const volume = await storages[kind]({ root, installationId: 'one' }).ensure({ id: 'source', labels });
  for (let n = 0; n < files; n += 1) {
    const folder = join(volume.path, `folder-${n % 30}`);
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, `file-${n}`), `${n}`.repeat(500));
  }
}

async function countFiles(path: string): Promise<number> {
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).length;
}

async function names(root: string, shelf: string): Promise<string[]> {
  return readdir(join(root, shelf)).catch(() => []);
}

/** Whether the process got to its end before it was killed. */
async function killAfter(input: object, pauseMs: number): Promise<boolean> {
  const script = fileURLToPath(new URL('kill-while.ts', import.meta.url));
  const child = spawn(process.execPath, [await compiledProgram(script)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  let output = '';
  const begun = new Promise<void>((resolve) => {
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString();
      if (output.includes('begun')) resolve();
    });
  });
  const closed = once(child, 'close');
  child.stdin.end(JSON.stringify(input));
  await Promise.race([begun, closed]);
  // The moment of death is the point of this test, not a wait for something to happen.
  await delay(pauseMs);
  child.kill('SIGKILL');
  await closed;
  return output.includes('finished');
}

/** Large pieces first, then small ones into the corners that are left. */
async function fillDisk(folder: string): Promise<void> {
  for (const [name, blockSize] of [
    ['large', '1M'],
    ['small', '4k'],
  ]) {
    await runTool('dd', ['if=/dev/zero', `of=${join(folder, `${name}`)}`, `bs=${blockSize}`, 'count=100000']);
    await runTool('sync', ['-f', folder]);
  }
}
