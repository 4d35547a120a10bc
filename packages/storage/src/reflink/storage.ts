import { mkdir } from 'node:fs/promises';
import { copyFrozenTree, copyLiveTree, copyTreeQuietly } from '../copy-tree.ts';
import { createDirectoryStorage, type DirectoryStorageOptions, type Trees } from '../directory-storage.ts';
import { eraseTree } from '../erase-tree.ts';
import type { Storage } from '../storage.ts';
import { syncTree } from '../sync-tree.ts';
import { treeSizeBytes } from '../tree-size.ts';

const trees: Trees = {
  kind: 'reflink',
  atomic: false,
  create: async (path) => {
    await mkdir(path, { mode: 0o700 });
  },
  clone: (source, target) => copyFrozenTree({ source, target, reflink: 'always' }),
  copyLive: (source, target) => copyLiveTree({ source, target, reflink: 'always' }),
  freeze: (path, { durable }) => (durable ? syncTree(path) : Promise.resolve()),
  erase: eraseTree,
  cloneAhead: (source, target, signal) => copyTreeQuietly({ source, target, reflink: 'always' }, signal),
  usage: async (path) => ({ exclusiveBytes: await treeSizeBytes(path), exact: false }),
};

/**
 * Files share their blocks until they are written to (FICLONE: XFS, btrfs, bcachefs). Needs no privileges. Each file is
 * one instant, the tree is not; a clone takes time by the number of files and extents, not by bytes, unless one was made
 * ahead.
 */
export function createReflinkStorage(options: DirectoryStorageOptions): Storage {
  return createDirectoryStorage(trees, options);
}
