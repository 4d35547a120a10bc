import { setTimeout as wait } from 'node:timers/promises';

/** What a production that serves is read at, at most: it has other things to do. */
const bytesPerSecond = 64 * 1024 ** 2;
/** What was not read while the source was slow is not made up for later: as much as this at once, no more. */
const burstMs = 250;
const progressEveryMs = 2_000;

/** What all readers of one source take together: they wait for each other's bytes, and one of them says how far it is. */
export interface ReadMeter {
  /** Waits until so many bytes more may be read. */
  take(bytes: number, signal: AbortSignal): Promise<void>;
  /** What is being read, for people. */
  at(words: string): void;
  done(): void;
}

/** A token bucket, told by the time at which it will be empty of what was taken. */
export function createReadMeter(line: (text: string) => void): ReadMeter {
  const startedAt = performance.now();
  let bytes = 0;
  let paidUntil = startedAt;
  let saidAt = startedAt;
  let words = '';
  const megabytes = () => `${(bytes / 1e6).toFixed(1)} MB read`;
  return {
    async take(more, signal) {
      bytes += more;
      const now = performance.now();
      paidUntil = Math.max(paidUntil, now - burstMs) + (more / bytesPerSecond) * 1000;
      const aheadMs = paidUntil - now;
      if (aheadMs > 5) await wait(aheadMs, undefined, { signal });
      if (performance.now() - saidAt < progressEveryMs) return;
      saidAt = performance.now();
      line(`${megabytes()}${words}`);
    },
    at(place) {
      words = place === '' ? '' : `, at ${place}`;
    },
    done: () => line(`${megabytes()} in ${((performance.now() - startedAt) / 1000).toFixed(1)} s`),
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
