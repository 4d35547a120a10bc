import type { BigIntStats } from 'node:fs';
import { lstat, opendir } from 'node:fs/promises';
import { join } from 'node:path';

export interface FoundFile {
  /** From the root, with `/`; null: its name is no UTF-8, so no rule can speak of it. */
  readonly path: string | null;
  readonly kind: 'file' | 'link' | 'special';
  readonly stats: BigIntStats;
}

/** Names looked at together: enough to keep the disk busy, little to hold. */
const BATCH = 64;
const BUFFER_SIZE = 256;

/**
 * Everything below a directory but the directories themselves, one batch at a time. Links are not followed. The tree must
 * not change meanwhile.
 */
export async function* walkFiles(root: string, signal: AbortSignal): AsyncGenerator<readonly FoundFile[]> {
  const open = [''];
  for (let directory = open.pop(); directory !== undefined; directory = open.pop()) {
    signal.throwIfAborted();
    let batch: Buffer[] = [];
    const parent = directory;
    const look = async () => {
      const found = await Promise.all(batch.map((name) => lookAt(root, parent, name)));
      batch = [];
      for (const entry of found) if (entry.kind === 'directory' && entry.path !== null) open.push(entry.path);
      return found.filter((entry): entry is FoundFile => entry.kind !== 'directory');
    };
    // Bytes: a name that is no UTF-8 must not be taken for another one.
    const entries = await opendir(join(root, parent), {
      encoding: 'buffer' as BufferEncoding,
      bufferSize: BUFFER_SIZE,
    });
    for await (const { name } of entries) {
      batch.push(name as unknown as Buffer);
      if (batch.length === BATCH) yield await look();
    }
    yield await look();
  }
}

async function lookAt(
  root: string,
  parent: string,
  name: Buffer,
): Promise<FoundFile | { kind: 'directory'; path: string | null }> {
  const text = name.toString('utf8');
  const isText = Buffer.from(text, 'utf8').equals(name);
  const path = parent === '' ? text : `${parent}/${text}`;
  const full = Buffer.concat([Buffer.from(`${join(root, parent)}/`), name]);
  const stats = await lstat(full, { bigint: true });
  if (stats.isDirectory())
    return isText ? { kind: 'directory', path } : { kind: 'special', path: null, stats };
  const kind = stats.isFile() ? 'file' : stats.isSymbolicLink() ? 'link' : 'special';
  return { kind, path: isText ? path : null, stats };
}
