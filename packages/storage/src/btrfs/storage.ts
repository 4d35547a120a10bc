import { chmod, lstat } from 'node:fs/promises';
import { createDirectoryStorage, type DirectoryStorageOptions, type Trees } from '../directory-storage.ts';
import { eraseTree } from '../erase-tree.ts';
import { runTool, type ToolResult, toolFailed } from '../run-tool.ts';
import type { Storage } from '../storage.ts';
import { treeSizeBytes } from '../tree-size.ts';

export const btrfsTrees: Trees = {
  kind: 'btrfs',
  atomic: true,
  async create(path) {
    await btrfs(`Making the subvolume ${path}`, ['subvolume', 'create', path]);
    await chmod(path, 0o700);
  },
  clone: snapshotSubvolume,
  copyLive: snapshotSubvolume,
  async freeze(path) {
    await btrfs(`Making ${path} read-only`, ['property', 'set', '-t', 'subvol', path, 'ro', 'true']);
  },
  erase: eraseSubvolume,
  usage: exclusiveUsage,
};

/** Subvolume snapshots: one instant of the whole volume, in milliseconds whatever its size. */
export function createBtrfsStorage(options: DirectoryStorageOptions): Storage {
  return createDirectoryStorage(btrfsTrees, options);
}

async function snapshotSubvolume(source: string, target: string): Promise<void> {
  await btrfs(`The snapshot of ${source}`, ['subvolume', 'snapshot', source, target]);
}

/**
 * Deleting a subvolume takes CAP_SYS_ADMIN or the mount option user_subvol_rm_allowed. Without either, an ordinary user
 * may still empty it and remove it as an empty directory (since Linux 4.18), which takes time by the number of files.
 */
async function eraseSubvolume(path: string): Promise<void> {
  const isThere = await lstat(path).then(
    () => true,
    () => false,
  );
  if (!isThere) return;
  const result = await runTool('btrfs', ['subvolume', 'delete', path]);
  if (result.ok) return;
  await runTool('btrfs', ['property', 'set', '-t', 'subvol', path, 'ro', 'false']);
  await eraseTree(path);
}

async function exclusiveUsage(path: string): Promise<{ exclusiveBytes: number; exact: boolean }> {
  const result = await runTool('btrfs', ['filesystem', 'du', '--raw', '--summarize', path]);
  const exclusive = /^\s*\d+\s+(\d+)\s/m.exec(result.stdout)?.[1];
  if (result.ok && exclusive !== undefined) return { exclusiveBytes: Number(exclusive), exact: true };
  return { exclusiveBytes: await treeSizeBytes(path), exact: false };
}

async function btrfs(what: string, args: readonly string[]): Promise<ToolResult> {
  const result = await runTool('btrfs', args);
  if (!result.ok) throw toolFailed(what, result);
  return result;
}
