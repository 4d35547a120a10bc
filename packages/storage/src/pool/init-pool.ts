import { chmod, chown, mkdir, open, readdir, realpath, rm, stat, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BoughError } from '@bough/domain/bough-error';
import { tryStorage } from '../probe.ts';
import { runTool, type ToolPlaces, toolFailed } from '../run-tool.ts';
import { sizeWords } from '../size-words.ts';
import {
  isMountPoint,
  isRoot,
  mountedAt,
  mountOptions,
  needsRoot,
  type PoolFileSystem,
  type PoolPlaces,
  type PoolRecord,
  poolPlaces,
  readPool,
} from './pool.ts';

const megabyte = 1_000_000;
/** Less than this neither file system can work with. */
const poolBytesMin = 512 * megabyte;
/** Stays free for everything else below BOUGH_HOME, were the pool full. */
const hostBytesMin = 1_000 * megabyte;

export interface InitPoolOptions {
  readonly home: string;
  readonly sizeBytes: number;
  /** Finds the commands of a file system, or throws what is wrong with them. */
  readonly tools: (name: 'btrfs-progs' | 'xfsprogs') => Promise<ToolPlaces>;
  readonly onProgress?: (text: string) => void;
}

/**
 * Makes a pool and mounts it: btrfs, or XFS where that cannot be had. It belongs to whom the home belongs, so that root is
 * needed for this and for mounting only. Whatever fails, nothing is left of it.
 */
export async function initPool(options: InitPoolOptions): Promise<PoolRecord> {
  const places = poolPlaces(options.home);
  await refuse(options, places);
  await removeRemains(places);
  const refused: string[] = [];
  for (const fileSystem of ['btrfs', 'xfs'] as const) {
    options.onProgress?.(`making ${fileSystem} in ${places.image} (${sizeWords(options.sizeBytes)})`);
    try {
      return await make(options, places, fileSystem, refused);
    } catch (error) {
      await removeRemains(places);
      refused.push(`${fileSystem}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  throw new BoughError({
    code: 'storage-init-failed',
    message: `No pool could be made. ${refused.join(' ')}`,
    hint: 'Install btrfs-progs or xfsprogs; in a container, it must be allowed to mount loop devices (--privileged).',
  });
}

/** Everything that can be known before anything is touched. */
async function refuse({ home, sizeBytes }: InitPoolOptions, places: PoolPlaces): Promise<void> {
  const pool = await readPool(home);
  if (pool !== undefined) {
    throw new BoughError({
      code: 'storage-initialised',
      message: `There is a pool already: ${pool.fileSystem}, ${sizeWords(pool.sizeBytes)}, in ${places.image}.`,
      hint: 'See `bough storage status`. `bough storage remove` takes it away once no volumes are left.',
    });
  }
  if (!isRoot())
    throw needsRoot(
      'Making a storage pool',
      `sudo BOUGH_HOME=${home} bough storage init --size ${sizeArgument(sizeBytes)}`,
    );
  if (sizeBytes < poolBytesMin) {
    throw new BoughError({
      code: 'storage-too-small',
      message: `${sizeWords(sizeBytes)} are too small for a pool.`,
      hint: `Give it at least ${sizeWords(poolBytesMin)}: --size ${sizeArgument(poolBytesMin)}`,
    });
  }
  await refuseVolumes(places);
  await mkdir(home, { recursive: true, mode: 0o700 });
  const { bavail, bsize } = await statfs(home);
  const most = bavail * bsize - hostBytesMin;
  if (sizeBytes <= most) return;
  throw new BoughError({
    code: 'disk-full',
    message: `A pool of ${sizeWords(sizeBytes)} does not fit: ${sizeWords(bavail * bsize)} are free under ${home}.`,
    hint:
      most >= poolBytesMin
        ? `The image grows only as it fills, but a disk that fills up under it would break it. Use at most --size ${sizeArgument(most)}.`
        : 'Free space on that disk, or put BOUGH_HOME on a larger one.',
  });
}

/** Volumes that are there would vanish under the mount. */
async function refuseVolumes({ mountPoint, image }: PoolPlaces): Promise<void> {
  const volumes = await volumesBelow(mountPoint);
  const mounted = await mountedAt(mountPoint);
  // Our own image without a record is what a killed `init` left.
  if (volumes.length === 0 && (mounted === undefined || mounted === (await realpath(image).catch(() => ''))))
    return;
  throw new BoughError({
    code: 'storage-in-use',
    message:
      volumes.length === 0
        ? `${mountPoint} is a file system of its own already.`
        : `${mountPoint} holds ${volumes.length} volumes and snapshots, which a pool mounted over it would hide.`,
    hint: 'Remove all environments first (bough project remove), or use a new BOUGH_HOME for the pool.',
  });
}

export async function volumesBelow(mountPoint: string): Promise<string[]> {
  const shelves = await Promise.all(
    ['volumes', 'snapshots'].map((name) => readdir(join(mountPoint, name)).catch((): string[] => [])),
  );
  return shelves.flat().filter((name) => !name.startsWith('.'));
}

async function make(
  { home, sizeBytes, tools }: InitPoolOptions,
  places: PoolPlaces,
  fileSystem: PoolFileSystem,
  refused: readonly string[],
): Promise<PoolRecord> {
  const programs = await tools(fileSystem === 'btrfs' ? 'btrfs-progs' : 'xfsprogs');
  const { uid, gid } = await stat(home);
  await mkdir(places.directory, { mode: 0o700 });
  const image = await open(places.image, 'wx', 0o600);
  await image.truncate(sizeBytes).finally(() => image.close());
  await must(
    `Making ${fileSystem}`,
    `mkfs.${fileSystem}`,
    [...makeArguments[fileSystem], places.image],
    programs,
  );
  await rm(join(places.mountPoint, 'kind'), { force: true });
  await mkdir(places.mountPoint, { recursive: true, mode: 0o700 });
  const mount = ['-t', fileSystem, '-o', mountOptions(fileSystem), places.image, places.mountPoint];
  await must(`Mounting ${fileSystem}`, 'mount', mount);
  await chmod(places.mountPoint, 0o700);
  const { kind, tried } = await tryStorage({ root: places.mountPoint, want: 'auto', places: programs });
  const wanted = fileSystem === 'btrfs' ? 'btrfs' : 'reflink';
  if (kind !== wanted) throw new Error(tried.map((trial) => `${trial.kind}: ${trial.why}`).join('; '));
  const record = { fileSystem, sizeBytes, why: refused.join(' '), createdAt: new Date().toISOString() };
  await writeFile(places.record, `${JSON.stringify(record, null, 2)}\n`, { mode: 0o600 });
  for (const path of [places.directory, places.image, places.record, places.mountPoint])
    await chown(path, uid, gid);
  return record;
}

/**
 * One device needs its metadata once. XFS copies a written block's surroundings of 128 KiB unless told otherwise, which
 * made a clone grow three times as fast (reference/data.md §1.2.6); the hint is inherited from the root.
 */
const makeArguments: Readonly<Record<PoolFileSystem, readonly string[]>> = {
  btrfs: ['-q', '-f', '-K', '-m', 'single', '-d', 'single'],
  xfs: ['-q', '-f', '-K', '-m', 'reflink=1,crc=1', '-d', 'cowextsize=2'],
};

/** What a process that was killed half-way has left, or a failure just now. */
async function removeRemains(places: PoolPlaces): Promise<void> {
  if (await isMountPoint(places.mountPoint)) await must('Unmounting the pool', 'umount', [places.mountPoint]);
  await rm(places.directory, { recursive: true, force: true });
}

async function must(
  what: string,
  command: string,
  args: readonly string[],
  places?: ToolPlaces,
): Promise<void> {
  const result = await runTool(command, args, { places });
  if (!result.ok) throw toolFailed(what, result);
}

function sizeArgument(bytes: number): string {
  const megabytes = Math.floor(bytes / megabyte);
  return megabytes < 10_000 ? `${megabytes}M` : `${Math.floor(megabytes / 1_000)}G`;
}
