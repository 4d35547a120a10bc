import { chmod, lstat } from 'node:fs/promises';
import { createDirectoryStorage, type DirectoryStorageOptions, type Trees } from '../directory-storage.ts';
import { eraseTree } from '../erase-tree.ts';
import { runTool, type ToolPlaces, type ToolResult, toolFailed } from '../run-tool.ts';
import type { Storage } from '../storage.ts';
import { treeSizeBytes } from '../tree-size.ts';

/** `places`: where the command `btrfs` is, when the machine's own directories do not have it. */
export function createBtrfsTrees(places?: ToolPlaces): Trees {
  const run = (args: readonly string[]) => runTool('btrfs', args, { places });

  async function must(what: string, args: readonly string[]): Promise<ToolResult> {
    const result = await run(args);
    if (!result.ok) throw toolFailed(what, result);
    return result;
  }

  async function snapshotSubvolume(source: string, target: string): Promise<void> {
    await must(`The snapshot of ${source}`, ['subvolume', 'snapshot', source, target]);
  }

  /**
   * Deleting a subvolume takes CAP_SYS_ADMIN or the mount option user_subvol_rm_allowed. Without either, an ordinary
   * user may still empty it and remove it as an empty directory (since Linux 4.18), which takes time by the number of
   * files.
   */
  async function eraseSubvolume(path: string): Promise<void> {
    const isThere = await lstat(path).then(
      () => true,
      () => false,
    );
    if (!isThere) return;
    const result = await run(['subvolume', 'delete', path]);
    if (result.ok) return;
    await run(['property', 'set', '-t', 'subvol', path, 'ro', 'false']);
    await eraseTree(path);
  }

  return {
    kind: 'btrfs',
    atomic: true,
    async create(path) {
      await must(`Making the subvolume ${path}`, ['subvolume', 'create', path]);
      await chmod(path, 0o700);
    },
    clone: snapshotSubvolume,
    cloneAhead: snapshotSubvolume,
    copyLive: snapshotSubvolume,
    async freeze(path) {
      await must(`Making ${path} read-only`, ['property', 'set', '-t', 'subvol', path, 'ro', 'true']);
    },
    erase: eraseSubvolume,
    async usage(path) {
      const result = await run(['filesystem', 'du', '--raw', '--summarize', path]);
      const exclusive = /^\s*\d+\s+(\d+)\s/m.exec(result.stdout)?.[1];
      if (result.ok && exclusive !== undefined) return { exclusiveBytes: Number(exclusive), exact: true };
      return { exclusiveBytes: await treeSizeBytes(path), exact: false };
    },
  };
}

/** Subvolume snapshots: one instant of the whole volume, in milliseconds whatever its size. */
export function createBtrfsStorage(options: DirectoryStorageOptions): Storage {
  return createDirectoryStorage(createBtrfsTrees(options.places), options);
}
