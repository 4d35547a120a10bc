import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { listEntries, type SourceAt } from './source.ts';

/** A pointer is a text of about 130 bytes; the specification caps it at 1024. */
const POINTER_SIZE_MAX = 1024;
const POINTER_HEAD = 'version https://git-lfs.github.com/spec/v1\n';
const REPORTED_MAX = 20;

/**
 * Files whose content lies in Git LFS, which Bough does not fetch. Only looked for where `.gitattributes` says `lfs`,
 * so an ordinary repository pays one listing.
 */
export async function findLfsPointers(source: SourceAt & { into: string }): Promise<string[]> {
  const entries = await listEntries({ ...source, path: '' });
  const attributes = entries.filter(
    ({ path }) => path === '.gitattributes' || path.endsWith('/.gitattributes'),
  );
  const uses = await Promise.all(
    attributes.slice(0, 200).map(({ path }) => head(join(source.into, path), 64 * 1024)),
  );
  if (!uses.some((text) => text.includes('filter=lfs'))) return [];
  const pointers: string[] = [];
  for (const { mode, size, path } of entries) {
    if (!mode.startsWith('100') || size < POINTER_HEAD.length || size > POINTER_SIZE_MAX) continue;
    if ((await head(join(source.into, path), POINTER_HEAD.length)) === POINTER_HEAD) pointers.push(path);
    if (pointers.length === REPORTED_MAX) break;
  }
  return pointers;
}

async function head(path: string, length: number): Promise<string> {
  const file = await open(path, 'r').catch(() => undefined);
  if (!file) return '';
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, 0);
    return buffer.toString('utf8', 0, bytesRead);
  } finally {
    await file.close();
  }
}
