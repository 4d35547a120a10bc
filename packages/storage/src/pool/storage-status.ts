import { readdir, stat, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type StorageTrial, tryStorage } from '../probe.ts';
import type { LocalStorageKind } from '../registry.ts';
import type { ToolPlaces } from '../run-tool.ts';
import { mountCommand } from './mount-pool.ts';
import { isMountPoint, isRoot, type PoolRecord, poolPlaces, readPool } from './pool.ts';

export interface StorageStatus {
  readonly kind: LocalStorageKind | undefined;
  readonly tried: readonly StorageTrial[];
  readonly path: string;
  readonly space: Space;
  readonly volumes: number;
  readonly snapshots: number;
  readonly pool?: PoolStatus;
}

export interface PoolStatus extends PoolRecord {
  readonly isMounted: boolean;
  /** What root types, or /etc/fstab has, where Bough does not run as root. */
  readonly mountCommand: string;
  readonly image: string;
  /** What the image takes on the machine's disk today. */
  readonly imageBytes: number;
  readonly host: Space;
  /** The disk could fill up before the pool does: what the pool may still grow by is more than what is free. */
  readonly isOvercommitted: boolean;
}

export interface Space {
  readonly totalBytes: number;
  readonly freeBytes: number;
}

/** What is used below this home, found out by doing. Changes nothing that lasts, also where there is no home yet. */
export async function storageStatus(
  home: string,
  options: { want: 'auto' | LocalStorageKind; places?: ToolPlaces | undefined },
): Promise<StorageStatus> {
  const { mountPoint } = poolPlaces(home);
  const pool = await poolStatus(home);
  const root = await nearestExisting(mountPoint);
  const isReachable = pool === undefined || pool.isMounted;
  const { kind, tried } = isReachable
    ? await tryStorage({ root, ...options })
    : { kind: undefined, tried: [] };
  return {
    ...{ kind, tried, path: mountPoint },
    space: await spaceAt(root),
    volumes: await countEntries(join(mountPoint, 'volumes')),
    snapshots: await countEntries(join(mountPoint, 'snapshots')),
    ...(pool === undefined ? {} : { pool }),
  };
}

async function poolStatus(home: string): Promise<PoolStatus | undefined> {
  const pool = await readPool(home);
  if (pool === undefined) return undefined;
  const { image, mountPoint, directory } = poolPlaces(home);
  const host = await spaceAt(directory);
  const imageBytes = (await stat(image).catch(() => undefined))?.blocks ?? 0;
  return {
    ...pool,
    isMounted: await isMountPoint(mountPoint),
    mountCommand: `${isRoot() ? '' : 'sudo '}${mountCommand(home, pool)}`,
    image,
    imageBytes: imageBytes * 512,
    host,
    isOvercommitted: pool.sizeBytes - imageBytes * 512 > host.freeBytes,
  };
}

async function spaceAt(path: string): Promise<Space> {
  const { blocks, bavail, bsize } = await statfs(path);
  return { totalBytes: blocks * bsize, freeBytes: bavail * bsize };
}

async function nearestExisting(path: string): Promise<string> {
  const isThere = await stat(path).catch(() => undefined);
  return isThere || path === dirname(path) ? path : nearestExisting(dirname(path));
}

async function countEntries(directory: string): Promise<number> {
  const names = await readdir(directory).catch((): string[] => []);
  return names.filter((name) => !name.startsWith('.')).length;
}
