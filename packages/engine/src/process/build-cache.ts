import { mkdir, readdir, readlink, rename, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { checkedKey } from './artifacts.ts';
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
}

export function createBuildCache(home: string): BuildCache {
  const root = (key: string) => join(home, 'caches', checkedKey(key));
  return {
    async copyTo(key, directory, signal) {
      for (let attempt = 0; attempt < 3; attempt += 1) {
        const version = await readlink(join(root(key), 'current')).catch(() => undefined);
        if (version === undefined) return;
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
