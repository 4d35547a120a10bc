import { createReadStream } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { fileName } from '@bough/reconcile/deploy/step';

/** More of a log than this is not sent: the beginning is left out. */
const sentBytesMax = 5 * 1024 * 1024;
const chunkBytes = 64 * 1024;
const pollMs = 250;
/** A follower is sent away after this long; it may come back. */
const followMsMax = 3_600_000;
/** A line that never ends is cut. */
const lineCharactersMax = 16 * 1024;

/** Where the worker writes it. The name becomes a file's, so nothing in it can lead elsewhere. */
export function stepLogFile(logsDir: string, step: { deploymentId: string; name: string }): string {
  return join(logsDir, 'deployments', step.deploymentId, `${fileName(step.name)}.log`);
}

/** The log so far; nothing when the step has not written anything yet. */
export async function readStepLog(file: string): Promise<Readable> {
  const size = await sizeOf(file);
  if (size === 0) return Readable.from([]);
  return createReadStream(file, { start: Math.max(0, size - sentBytesMax), end: size - 1 });
}

/** The last lines, for a page. */
export async function tailStepLog(file: string, lines: number): Promise<string[]> {
  const size = await sizeOf(file);
  const start = Math.max(0, size - chunkBytes);
  const text = (await readPart(file, start, size - start)).toString('utf8');
  const all = text.split('\n');
  if (all.at(-1) === '') all.pop();
  return all.slice(-lines);
}

/** Lines as they are written, until the step has ended and its last line was read. */
export async function* followStepLog(
  file: string,
  options: { hasEnded: () => Promise<boolean>; signal: AbortSignal },
): AsyncGenerator<string> {
  const deadline = Date.now() + followMsMax;
  const decoder = new TextDecoder();
  let offset = Math.max(0, (await sizeOf(file)) - sentBytesMax);
  let rest = '';
  while (!options.signal.aborted && Date.now() < deadline) {
    // Asked before the file is read: what is written between the two is read the next time round.
    const hasEnded = await options.hasEnded();
    for (;;) {
      const part = await readPart(file, offset, chunkBytes);
      if (part.length === 0) break;
      offset += part.length;
      const lines = `${rest}${decoder.decode(part, { stream: true })}`.split('\n');
      rest = (lines.pop() ?? '').slice(0, lineCharactersMax);
      yield* lines;
    }
    if (hasEnded) break;
    await delay(pollMs, undefined, { signal: options.signal }).catch(() => undefined);
  }
  if (rest !== '') yield rest;
}

async function sizeOf(file: string): Promise<number> {
  return stat(file).then(
    (entry) => entry.size,
    () => 0,
  );
}

async function readPart(file: string, offset: number, length: number): Promise<Buffer> {
  if (length === 0) return Buffer.alloc(0);
  const handle = await open(file, 'r').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (!handle) return Buffer.alloc(0);
  try {
    const { bytesRead, buffer } = await handle.read(Buffer.alloc(length), 0, length, offset);
    return buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}
