import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { diskDirectory } from '@bough/testkit/memory-directory';
import { afterAll, beforeAll, describe } from 'vitest';
import { storageContract } from '../src/contract.ts';
import { createFakeStorage } from '../src/fake/storage.ts';
import { storages } from '../src/registry.ts';
import { type LoopDisk, makeLoopDisk, whyNoLoopDisk } from './loop-disk.ts';

describe('copy', () => {
  const home = temporaryHome();
  storageContract(() => fresh(home(), storages.copy));
});

describe('fake', () => {
  const home = temporaryHome();
  storageContract(() => fresh(home(), createFakeStorage), { fidelity: false, live: false });
});

describe('fake, not atomic', () => {
  const home = temporaryHome();
  const open: typeof storages.copy = (options) => createFakeStorage({ ...options, atomic: false });
  // Node's own recursive copy stops at a file that vanishes, which is why the real storages use cp.
  storageContract(() => fresh(home(), open), { fidelity: false, live: false });
});

for (const [kind, fileSystem] of [
  ['reflink', 'xfs'],
  ['btrfs', 'btrfs'],
] as const) {
  const why = await whyNoLoopDisk(fileSystem);
  describe.skipIf(why !== undefined)(`${kind}${why === undefined ? '' : ` - SKIPPED: ${why}`}`, () => {
    let disk: LoopDisk;
    beforeAll(async () => {
      disk = await makeLoopDisk(fileSystem, fileSystem === 'xfs' ? 512 : 256);
    });
    afterAll(() => disk.remove());
    storageContract(() => fresh(disk.path, storages[kind]));
  });
}

function temporaryHome(): () => string {
  let home = '';
  beforeAll(async () => {
    home = await mkdtemp(join(diskDirectory(), 'bough-storage-'));
  });
  afterAll(() => rm(home, { recursive: true, force: true }));
  return () => home;
}

async function fresh(home: string, open: typeof storages.copy) {
  const root = await mkdtemp(join(home, 'root-'));
  return { root, open: (installationId: string) => open({ root, installationId }) };
}
