import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface LoopDisk {
  readonly path: string;
  remove(): Promise<void>;
}

export type FileSystem = 'xfs' | 'btrfs' | 'ext4';

/** Why a file system of this kind cannot be made here, for the name of a skipped test; undefined when it can. */
export async function whyNoLoopDisk(fileSystem: FileSystem): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return 'mounting a test disk needs root';
  try {
    const disk = await makeLoopDisk(fileSystem, fileSystem === 'xfs' ? 320 : 128);
    await disk.remove();
    return undefined;
  } catch (error) {
    const { code, stderr } = error as { code?: string; stderr?: string };
    return code === 'ENOENT'
      ? `mkfs.${fileSystem} or mount is missing`
      : `no loop device (${stderr?.trim()})`;
  }
}

/** A fresh file system in a sparse file, mounted until `remove`. */
export async function makeLoopDisk(
  fileSystem: FileSystem,
  megabytes: number,
  mountOptions = 'loop',
): Promise<LoopDisk> {
  const home = await mkdtemp(join(tmpdir(), 'bough-disk-'));
  const [image, path] = [join(home, 'image'), join(home, 'disk')];
  const quiet = fileSystem === 'ext4' ? ['-q', '-F'] : ['-q', '-f'];
  try {
    await writeFile(image, '');
    await truncate(image, megabytes * 1024 * 1024);
    await run(`/usr/sbin/mkfs.${fileSystem}`, [...quiet, image]);
    await mkdir(path);
    await run('mount', ['-o', mountOptions, image, path]);
  } catch (error) {
    await rm(home, { recursive: true, force: true });
    throw error;
  }
  return {
    path,
    async remove() {
      await run('umount', [path]);
      await rm(home, { recursive: true, force: true });
    },
  };
}
