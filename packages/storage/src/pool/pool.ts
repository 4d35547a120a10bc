import { readFile, realpath } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { BoughError } from '@bough/domain/bough-error';

/**
 * A pool: a file system in a sparse file below BOUGH_HOME, mounted over its volumes, for machines whose own disk cannot
 * clone. It is as quick as one on a disk of its own (reference/data.md §1.1 was measured on such).
 */
export interface PoolPlaces {
  readonly directory: string;
  readonly image: string;
  readonly record: string;
  /** The storage's root, over which the pool is mounted. */
  readonly mountPoint: string;
}

export interface PoolRecord {
  readonly fileSystem: PoolFileSystem;
  readonly sizeBytes: number;
  /** Why it is this file system and not a better one. */
  readonly why: string;
  readonly createdAt: string;
}

export type PoolFileSystem = 'btrfs' | 'xfs';

export function poolPlaces(home: string): PoolPlaces {
  const path = resolve(home);
  const directory = join(path, 'pool');
  return {
    directory,
    image: join(directory, 'image'),
    record: join(directory, 'pool.json'),
    mountPoint: join(path, 'volumes'),
  };
}

/** Undefined where no pool was made. */
export async function readPool(home: string): Promise<PoolRecord | undefined> {
  const { record } = poolPlaces(home);
  const text = await readFile(record, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (text === undefined) return undefined;
  const parsed = parsePool(text);
  if (parsed !== undefined) return parsed;
  throw new BoughError({
    code: 'storage-damaged',
    message: `${record} cannot be read, so Bough does not know how its pool is mounted.`,
    hint: 'Restore the file from a backup: {"fileSystem":"btrfs","sizeBytes":…,"why":"","createdAt":"…"}.',
  });
}

function parsePool(text: string): PoolRecord | undefined {
  try {
    const { fileSystem, sizeBytes, why, createdAt } = JSON.parse(text) as Partial<PoolRecord>;
    const isKnown = fileSystem === 'btrfs' || fileSystem === 'xfs';
    if (!isKnown || typeof sizeBytes !== 'number') return undefined;
    return { fileSystem, sizeBytes, why: why ?? '', createdAt: createdAt ?? '' };
  } catch {
    return undefined;
  }
}

/** What is mounted exactly there: a device, or the file behind a loop device. Undefined when nothing is. */
export async function mountedAt(path: string): Promise<string | undefined> {
  const real = await realpath(path).catch(() => undefined);
  if (real === undefined) return undefined;
  const lines = (await readFile('/proc/self/mountinfo', 'utf8')).split('\n');
  const line = lines.findLast((candidate) => plainPath(candidate.split(' ')[4] ?? '') === real);
  // Behind the optional fields, which a lone hyphen ends: type, source, options (proc(5)).
  const source = line?.split(' - ')[1]?.split(' ')[1];
  const loop = /^\/dev\/(loop\d+)$/.exec(source ?? '')?.[1];
  if (loop === undefined) return source;
  const file = await readFile(`/sys/block/${loop}/loop/backing_file`, 'utf8').catch(() => undefined);
  return file?.trim() ?? source;
}

export async function isMountPoint(path: string): Promise<boolean> {
  return (await mountedAt(path)) !== undefined;
}

/** The kernel writes blanks and backslashes as octal numbers. */
function plainPath(path: string): string {
  return path.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}

/** Space is given back to the image when files go (discard); reading must not write (noatime). */
export function mountOptions(fileSystem: PoolFileSystem): string {
  return fileSystem === 'btrfs' ? 'loop,noatime,discard,user_subvol_rm_allowed' : 'loop,noatime,discard';
}

export function isRoot(): boolean {
  return process.geteuid?.() === 0;
}

export function needsRoot(what: string, command: string): BoughError {
  return new BoughError({
    code: 'storage-needs-root',
    message: `${what} needs root.`,
    hint: `Run: ${command}`,
  });
}
