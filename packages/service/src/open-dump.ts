import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { createGunzip } from 'node:zlib';

/** A dump file, unpacked where it is gzip, and told by its first bytes: what a file is called proves nothing. */
export interface OpenedDump {
  /** `custom`: of `pg_dump --format=custom`. `text`: everything else, which is SQL or nothing. */
  readonly format: 'custom' | 'text';
  readonly bytes: AsyncGenerator<Buffer>;
}

export async function openDump(path: string, signal: AbortSignal): Promise<OpenedDump> {
  const isPacked = (await firstBytes(path)).equals(gzipMagic);
  const file = createReadStream(path, { signal });
  const gunzip = isPacked ? createGunzip() : undefined;
  if (gunzip !== undefined) {
    file.on('error', (error) => gunzip.destroy(error));
    file.pipe(gunzip);
  }
  const chunks: AsyncIterator<Buffer> = (gunzip ?? file)[Symbol.asyncIterator]();
  const first = await chunks.next();
  const head = first.done === true ? Buffer.alloc(0) : first.value;
  return { format: head.subarray(0, 5).toString('latin1') === 'PGDMP' ? 'custom' : 'text', bytes: all() };

  async function* all(): AsyncGenerator<Buffer> {
    try {
      if (head.length > 0) yield head;
      for (let next = await chunks.next(); next.done !== true; next = await chunks.next()) yield next.value;
    } finally {
      file.destroy();
      gunzip?.destroy();
    }
  }
}

const gzipMagic = Buffer.from([0x1f, 0x8b]);

async function firstBytes(path: string): Promise<Buffer> {
  const file = await open(path, 'r');
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(2), 0, 2, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}
