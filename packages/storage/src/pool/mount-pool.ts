import { mkdir, stat } from 'node:fs/promises';
import { BoughError } from '@bough/domain/bough-error';
import { runTool, toolFailed } from '../run-tool.ts';
import {
  isMountPoint,
  isRoot,
  mountOptions,
  needsRoot,
  type PoolRecord,
  poolPlaces,
  readPool,
} from './pool.ts';

/**
 * Mounts the pool where one was made and it is not mounted, as after a restart of the machine. Throws when that cannot be
 * done: below the mount point lies an empty directory, and volumes made there would be missing from the pool.
 */
export async function mountPool(home: string): Promise<PoolRecord | undefined> {
  const pool = await readPool(home);
  if (pool === undefined) return undefined;
  const { image, mountPoint } = poolPlaces(home);
  if (await isMountPoint(mountPoint)) return pool;
  if (!isRoot()) throw needsRoot('Mounting the storage pool', `sudo ${mountCommand(home, pool)}`);
  await requireImage(image);
  await mkdir(mountPoint, { recursive: true, mode: 0o700 });
  const result = await runTool('mount', [
    '-t',
    pool.fileSystem,
    '-o',
    mountOptions(pool.fileSystem),
    image,
    mountPoint,
  ]);
  // Of two processes that mount at once the later one finds it done.
  if (!result.ok && !(await isMountPoint(mountPoint))) throw toolFailed('Mounting the storage pool', result);
  return pool;
}

/** For those who are not root, and for /etc/fstab. */
export function mountCommand(home: string, pool: PoolRecord): string {
  const { image, mountPoint } = poolPlaces(home);
  return `mount -t ${pool.fileSystem} -o ${mountOptions(pool.fileSystem)} ${image} ${mountPoint}`;
}

async function requireImage(image: string): Promise<void> {
  if (await stat(image).catch(() => undefined)) return;
  throw new BoughError({
    code: 'storage-image-absent',
    message: `The storage pool's image ${image} is gone, and with it every volume.`,
    hint: 'Restore it from a backup. Without one, remove the directory it was in: Bough then starts with empty storage.',
  });
}
