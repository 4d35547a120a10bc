import { setTimeout as wait } from 'node:timers/promises';

/** What a production that serves is read at, at most: it has other things to do. */
const bytesPerSecond = 64 * 1024 ** 2;
const progressEveryMs = 2_000;

/** Holds the reading of a source back, and says how far it is. */
export interface ReadMeter {
  /** Waits until so many bytes more may be read. */
  take(bytes: number, signal: AbortSignal): Promise<void>;
  /** What is being read, for people. */
  at(words: string): void;
  done(): void;
}

export function createReadMeter(line: (text: string) => void): ReadMeter {
  const startedAt = Date.now();
  let bytes = 0;
  let saidAt = startedAt;
  let words = '';
  const megabytes = () => `${(bytes / 1e6).toFixed(1)} MB read`;
  return {
    async take(more, signal) {
      bytes += more;
      const aheadMs = (bytes / bytesPerSecond) * 1000 - (Date.now() - startedAt);
      if (aheadMs > 5) await wait(aheadMs, undefined, { signal });
      if (Date.now() - saidAt < progressEveryMs) return;
      saidAt = Date.now();
      line(`${megabytes()}${words}`);
    },
    at(place) {
      words = place === '' ? '' : `, at ${place}`;
    },
    done: () => line(`${megabytes()} in ${((Date.now() - startedAt) / 1000).toFixed(1)} s`),
  };
}

/** Chunks as they come, no faster than the meter lets them. */
export async function* metered(
  chunks: AsyncIterable<Buffer>,
  meter: ReadMeter,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  for await (const chunk of chunks) {
    await meter.take(chunk.length, signal);
    yield chunk;
  }
}
