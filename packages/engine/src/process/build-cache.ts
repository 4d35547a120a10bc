import { mkdir, readdir, readlink, rename, stat, symlink, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { diskUsage } from '@bough/toolchain/disk-usage';
import type { CacheOnDisk } from '../engine.ts';
import { checkedKey, isKey } from './artifacts.ts';
import { copyTree } from './copy-tree.ts';
import { takeLock } from './lock.ts';
import { ownedName } from './owner.ts';
import { removeTree } from './remove-tree.ts';

/**
 * A project's build cache. Every build works on a copy; a successful `shared` build publishes its copy as the next
 * version. So a build that is killed cannot spoil the cache, builds never wait for each other, and nobody reads what
 * somebody else is writing. Where the disk can share blocks between files, the copy costs nothing.
 */
export interface BuildCache {
  /** Fills an empty directory with the newest version, if there is one. */
  copyTo(key: string, directory: string, signal: AbortSignal | undefined): Promise<void>;
  publish(key: string, directory: string): Promise<void>;
  list(): Promise<CacheOnDisk[]>;
  /** Builds that work on a copy are not disturbed; the next one begins with nothing. */
  remove(key: string): Promise<void>;
}

export function createBuildCache(home: string): BuildCache {
  const root = (key: string) => join(home, 'caches', checkedKey(key));
  return {
    async copyTo(key, directory, signal) {
      for (let attempt = 0; attempt < 3; attempt += 1) {
        const version = await readlink(join(root(key), 'current')).catch(() => undefined);
        if (version === undefined) return;
        // When it was used last: pruning begins with those of long ago.
        await utimes(root(key), new Date(), new Date()).catch(() => undefined);
        if (
          await copyTree(join(root(key), version), directory, signal).then(() => true, rethrowAborted(signal))
        )
          return;
        // The version was replaced while we copied it: once more, from nothing.
        await removeTree(directory);
        await mkdir(directory, { mode: 0o700 });
      }
    },
    async publish(key, directory) {
      await mkdir(root(key), { recursive: true, mode: 0o700 });
      const release = await takeLock(join(root(key), 'lock'), undefined);
      try {
        await publishVersion(root(key), directory);
      } finally {
        await release();
      }
    },
    async list() {
      const names = (await readdir(join(home, 'caches')).catch(() => [])).filter(isKey);
      const found: CacheOnDisk[] = [];
      for (const key of names) {
        const entry = await stat(root(key)).catch(() => undefined);
        if (entry?.isDirectory() !== true) continue;
        found.push({ key, sizeBytes: await diskUsage(root(key)), lastUsedAt: entry.mtime });
      }
      return found;
    },
    async remove(key) {
      await mkdir(join(home, 'builds'), { recursive: true, mode: 0o700 });
      // Gone at once; what a crash leaves there is swept as an abandoned build.
      const aside = join(home, 'builds', `${checkedKey(key)}.${await ownedName()}`);
      const isAbsent = await rename(root(key), aside).then(
        () => false,
        (error: NodeJS.ErrnoException) => {
          if (error.code === 'ENOENT') return true;
          throw error;
        },
      );
      if (!isAbsent) await removeTree(aside);
    },
  };
}

/** The version before stays until the next one comes, for whoever is copying it. */
async function publishVersion(root: string, directory: string): Promise<void> {
  const version = await ownedName();
  const before = await readlink(join(root, 'current')).catch(() => undefined);
  await rename(directory, join(root, version));
  await symlink(version, join(root, `next.${version}`));
  await rename(join(root, `next.${version}`), join(root, 'current'));
  for (const name of await readdir(root)) {
    const isKept = name === 'current' || name === version || name === before || name.startsWith('lock');
    if (!isKept) await removeTree(join(root, name));
  }
}

function rethrowAborted(signal: AbortSignal | undefined): () => false {
  return () => {
    signal?.throwIfAborted();
    return false;
  };
}
