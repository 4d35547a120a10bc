import { createHash, type Hash } from 'node:crypto';
import { open, readdir } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { BoughError } from '@bough/domain/bough-error';

export interface FileScan {
  readonly files: number;
  readonly bytes: number;
  /** Files that hold something of what was looked for, relative to the directory; at most 20. */
  readonly hits: readonly string[];
  /** Places, all together. */
  readonly count: number;
  /** Of all files: SHA-256 over a line `<sha256 of the bytes>  <path>` for each, sorted by path, as `sha256sum` writes them. */
  readonly digest: string;
}

const chunkBytes = 4 * 1024 * 1024;
const hitsMax = 20;
const block = 3;
const tableSize = 1 << 16;

/** Looks for byte strings in every file below a directory. A directory without files is a mistake, not a clean one. */
export async function scanFiles(
  directory: string,
  needles: readonly (string | Buffer)[],
  signal: AbortSignal,
): Promise<FileScan> {
  const search = createSearch(needles.map((needle) => Buffer.from(needle)));
  let files = 0;
  let bytes = 0;
  let count = 0;
  const hits: string[] = [];
  const digests: { path: string; digest: string }[] = [];
  // One for all: there may be thousands of files, and most are small.
  const buffer = Buffer.allocUnsafe(chunkBytes + search.longest);
  for await (const path of filesBelow(directory)) {
    const hash = createHash('sha256');
    const found = await scanFile(path, { search, buffer, hash, signal });
    digests.push({ path: relative(directory, path), digest: hash.digest('hex') });
    files += 1;
    bytes += found.bytes;
    count += found.count;
    if (found.count > 0 && hits.length < hitsMax) hits.push(relative(directory, path));
  }
  if (bytes === 0)
    throw new BoughError({
      code: 'sanitize-failed',
      message: 'The byte scan read nothing: the data directory has no files.',
      hint: 'Look for the capture in the log of the worker; nothing was cloned.',
    });
  return { files, bytes, hits, count, digest: digestOf(digests) };
}

function digestOf(files: readonly { path: string; digest: string }[]): string {
  const hash = createHash('sha256');
  const sorted = [...files].sort((a, b) => (a.path < b.path ? -1 : 1));
  for (const { path, digest } of sorted) hash.update(`${digest}  ${path}\n`);
  return hash.digest('hex');
}

async function* filesBelow(directory: string): AsyncGenerator<string> {
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) yield* filesBelow(path);
    else if (entry.isFile()) yield path;
  }
}

async function scanFile(
  path: string,
  of: { search: Search; buffer: Buffer; hash: Hash; signal: AbortSignal },
): Promise<{ bytes: number; count: number }> {
  const { search, buffer, hash, signal } = of;
  const file = await open(path, 'r');
  let kept = 0;
  let bytes = 0;
  let count = 0;
  try {
    for (;;) {
      signal.throwIfAborted();
      const { bytesRead } = await file.read(buffer, kept, chunkBytes);
      if (bytesRead === 0) return { bytes, count };
      bytes += bytesRead;
      hash.update(buffer.subarray(kept, kept + bytesRead));
      const filled = kept + bytesRead;
      // What ends within the kept part was counted before.
      count += search.count(buffer.subarray(0, filled), kept);
      const tail = Math.min(search.longest - 1, filled);
      buffer.copyWithin(0, filled - tail, filled);
      kept = tail;
    }
  } finally {
    await file.close();
  }
}

interface Search {
  readonly longest: number;
  /** Occurrences that end after `counted` bytes. */
  count(haystack: Buffer, counted: number): number;
}

/** Wu and Manber's: steps as far as no needle can end, so that many needles cost hardly more than one. */
export function createSearch(needles: readonly Buffer[]): Search {
  const usable = needles.filter((needle) => needle.length >= block);
  const shortest = Math.min(...usable.map((needle) => needle.length));
  const longest = Math.max(block, ...usable.map((needle) => needle.length));
  if (usable.length === 0) return { longest, count: () => 0 };
  const shifts = new Uint16Array(tableSize).fill(Math.min(shortest - block + 1, 65_535));
  const ending = new Map<number, Buffer[]>();
  for (const needle of usable) {
    for (let end = block; end <= shortest; end += 1) {
      const hash = hashAt(needle, end);
      shifts[hash] = Math.min(shifts[hash] ?? 0, shortest - end);
      if (end === shortest) ending.set(hash, [...(ending.get(hash) ?? []), needle]);
    }
  }
  return {
    longest,
    count(haystack, counted) {
      let found = 0;
      let end = shortest;
      while (end <= haystack.length) {
        const hash = hashAt(haystack, end);
        const shift = shifts[hash] ?? 0;
        if (shift > 0) {
          end += shift;
          continue;
        }
        const start = end - shortest;
        for (const needle of ending.get(hash) ?? []) {
          const after = start + needle.length;
          if (
            after > counted &&
            after <= haystack.length &&
            haystack.compare(needle, 0, needle.length, start, after) === 0
          )
            found += 1;
        }
        end += 1;
      }
      return found;
    },
  };
}

/** Of the block that ends there. */
function hashAt(bytes: Buffer, end: number): number {
  return (
    (((bytes[end - 3] ?? 0) << 10) ^ ((bytes[end - 2] ?? 0) << 5) ^ (bytes[end - 1] ?? 0)) & (tableSize - 1)
  );
}
