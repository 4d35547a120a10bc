import { open } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';

const lookMs = 20;
const chunkBytes = 65_536;

/** The lines that are written to a file from now on, until the signal. */
export async function* followFile(file: string, signal: AbortSignal): AsyncGenerator<string> {
  const handle = await open(file, 'r');
  try {
    let offset = (await handle.stat()).size;
    let rest = '';
    while (!signal.aborted) {
      const { bytesRead, buffer } = await handle.read(Buffer.alloc(chunkBytes), 0, chunkBytes, offset);
      offset += bytesRead;
      const lines = (rest + buffer.toString('utf8', 0, bytesRead)).split('\n');
      rest = lines.pop() ?? '';
      yield* lines;
      if (bytesRead === 0) await delay(lookMs);
    }
  } finally {
    await handle.close();
  }
}
