import { mkdir } from 'node:fs/promises';
import { copyFrozenTree, copyLiveTree, copyTreeQuietly } from '../copy-tree.ts';
import { createDirectoryStorage, type DirectoryStorageOptions, type Trees } from '../directory-storage.ts';
import { eraseTree } from '../erase-tree.ts';
import type { Storage } from '../storage.ts';
import { syncTree } from '../sync-tree.ts';
import { treeSizeBytes } from '../tree-size.ts';

const trees: Trees = {
  kind: 'copy',
  atomic: false,
  create: async (path) => {
    await mkdir(path, { mode: 0o700 });
  },
  clone: (source, target) => copyFrozenTree({ source, target, reflink: 'auto' }),
  copyLive: (source, target) => copyLiveTree({ source, target, reflink: 'auto' }),
  freeze: (path, { durable }) => (durable ? syncTree(path) : Promise.resolve()),
  erase: eraseTree,
  costsBytes: true,
  cloneAhead: (source, target, signal) => copyTreeQuietly({ source, target, reflink: 'auto' }, signal),
  usage: async (path) => ({ exclusiveBytes: await treeSizeBytes(path), exact: false }),
};

/** Works on any file system; a clone takes as long as writing its bytes, unless a copy of it was made ahead. */
export function createCopyStorage(options: DirectoryStorageOptions): Storage {
  return createDirectoryStorage(trees, options);
}
