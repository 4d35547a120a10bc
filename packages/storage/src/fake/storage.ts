import { cp, mkdir } from 'node:fs/promises';
import { createDirectoryStorage, type DirectoryStorageOptions, type Trees } from '../directory-storage.ts';
import { eraseTree } from '../erase-tree.ts';
import type { Storage } from '../storage.ts';

/** What a test wants to see go wrong; called with the path before each step. */
export interface FakeStorageOptions extends DirectoryStorageOptions {
  readonly atomic?: boolean;
  readonly before?: (
    step: 'create' | 'clone' | 'copyLive' | 'freeze' | 'erase',
    path: string,
  ) => Promise<void>;
}

/** Small trees copied by Node alone: for tests of what uses a storage, with steps that can be made to fail. */
export function createFakeStorage(options: FakeStorageOptions): Storage {
  const before = options.before ?? (async () => {});
  const copy = async (source: string, target: string) => {
    await cp(source, target, { recursive: true, verbatimSymlinks: true, preserveTimestamps: true });
  };
  const trees: Trees = {
    kind: 'fake',
    atomic: options.atomic ?? true,
    async create(path) {
      await before('create', path);
      await mkdir(path, { mode: 0o700 });
    },
    async clone(source, target) {
      await before('clone', target);
      await copy(source, target);
    },
    async copyLive(source, target) {
      await before('copyLive', target);
      await copy(source, target);
    },
    freeze: (path) => before('freeze', path),
    async erase(path) {
      await before('erase', path);
      await eraseTree(path);
    },
    usage: async () => ({ exclusiveBytes: 0, exact: false }),
  };
  return createDirectoryStorage(trees, options);
}
