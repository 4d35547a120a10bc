import { createBtrfsStorage } from './btrfs/storage.ts';
import { createCopyStorage } from './copy/storage.ts';
import type { DirectoryStorageOptions } from './directory-storage.ts';
import { createReflinkStorage } from './reflink/storage.ts';
import type { Storage } from './storage.ts';

export type LocalStorageKind = 'btrfs' | 'reflink' | 'copy';

/** In the order in which they are tried: the fastest first. */
export const storages: Readonly<Record<LocalStorageKind, (options: DirectoryStorageOptions) => Storage>> = {
  btrfs: createBtrfsStorage,
  reflink: createReflinkStorage,
  copy: createCopyStorage,
};
