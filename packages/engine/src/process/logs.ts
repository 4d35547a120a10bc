import { type FileHandle, open } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { LineSplitter } from './lines.ts';

/** What is read of a log to find its last lines; more lines than fit in it are not shown. */
const tailBytesMax = 4 * 1024 * 1024;
const chunkBytes = 64 * 1024;
const pollMs = 150;

export interface LogOptions {
  readonly lines: number;
  readonly follow?: boolean;
  readonly signal?: AbortSignal;
}

/**
 * The last lines of `file`, continued backwards into `file.1`, then what is written from then on. A log that is
 * renamed away while it is followed is read to its end first. Following ends with the signal or when the log is gone.
 */
export async function* readLog(file: string, options: LogOptions): AsyncGenerator<string> {
  const previous = await openLog(`${file}.1`);
  let current = await openLog(file);
  try {
    const end = current ? await endOfLastLine(current, options.follow ?? false) : 0;
    const older = previous ? await readTail(previous, await sizeOf(previous)) : nothing;
    const newer = current ? await readTail(current, end) : nothing;
    if (options.lines > 0) yield* linesOf(older, newer).slice(-options.lines);
    let offset = end;
    const pending: string[] = [];
    const splitter = new LineSplitter((line) => pending.push(line));
    while (options.follow && !options.signal?.aborted) {
      if (current) offset += await readFrom(current, offset, splitter);
      yield* pending.splice(0);
      if (current && (await sizeOf(current)) > offset) continue;
      const replaced = await replacement(file, current);
      if (replaced) {
        await current?.close();
        current = replaced;
        offset = 0;
        continue;
      }
      if (current && (await current.stat()).nlink === 0) return;
      await delay(pollMs, undefined, { ...(options.signal ? { signal: options.signal } : {}) }).catch(
        () => undefined,
      );
    }
  } finally {
    await previous?.close();
    await current?.close();
  }
}

async function openLog(file: string): Promise<FileHandle | undefined> {
  return open(file, 'r').catch(() => undefined);
}

async function sizeOf(handle: FileHandle): Promise<number> {
  return (await handle.stat()).size;
}

interface TailBytes {
  readonly bytes: Buffer;
  /** It begins in the middle of the file, and so perhaps of a line. */
  readonly isCut: boolean;
}

const nothing: TailBytes = { bytes: Buffer.alloc(0), isCut: false };

async function readTail(handle: FileHandle, end: number): Promise<TailBytes> {
  const start = Math.max(0, end - tailBytesMax);
  const buffer = Buffer.alloc(end - start);
  const { bytesRead } = await handle.read(buffer, 0, buffer.length, start);
  return { bytes: buffer.subarray(0, bytesRead), isCut: start > 0 };
}

/** The log is turned over at a byte, so a line may begin in one file and end in the next. */
function linesOf(older: TailBytes, newer: TailBytes): string[] {
  const lines: string[] = [];
  const splitter = new LineSplitter((line) => lines.push(line));
  if (!newer.isCut) splitter.push(older.bytes);
  splitter.push(newer.bytes);
  splitter.end();
  // Half a line is worse than none.
  return (newer.isCut ? newer : older).isCut ? lines.slice(1) : lines;
}

/** When following, a line that is still being written is left for later, so that it is not given in two pieces. */
async function endOfLastLine(handle: FileHandle, isFollowed: boolean): Promise<number> {
  const size = await sizeOf(handle);
  if (!isFollowed) return size;
  const start = Math.max(0, size - chunkBytes);
  const buffer = Buffer.alloc(size - start);
  await handle.read(buffer, 0, buffer.length, start);
  const at = buffer.lastIndexOf(0x0a);
  return at < 0 ? start : start + at + 1;
}

async function readFrom(handle: FileHandle, offset: number, splitter: LineSplitter): Promise<number> {
  const buffer = Buffer.alloc(chunkBytes);
  const { bytesRead } = await handle.read(buffer, 0, chunkBytes, offset);
  splitter.push(buffer.subarray(0, bytesRead));
  return bytesRead;
}

async function replacement(file: string, current: FileHandle | undefined): Promise<FileHandle | undefined> {
  const next = await openLog(file);
  if (!next || !current) return next;
  const [a, b] = [await next.stat(), await current.stat()];
  if (a.ino !== b.ino) return next;
  await next.close();
  return undefined;
}
