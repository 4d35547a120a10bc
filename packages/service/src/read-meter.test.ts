import { setTimeout as wait } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { createReadMeter } from './read-meter.ts';

const mebibyte = 1024 ** 2;
const soon = () => AbortSignal.timeout(30_000);

test('all who take wait for each other, and what nobody took for a while is not made up for', async () => {
  const lines: string[] = [];
  const meter = createReadMeter((text) => lines.push(text));
  // Long enough to have saved 32 MiB, if anything were saved beyond a quarter of a second.
  await wait(500);
  const from = performance.now();
  await Promise.all(Array.from({ length: 4 }, () => meter.take(8 * mebibyte, soon())));
  // 32 MiB less the 16 that may come at once.
  expect(performance.now() - from).toBeGreaterThan(245);
  meter.done();
  expect(lines).toEqual([expect.stringMatching(/^33\.6 MB read in \d/)]);
});

test('who waits stops when told', async () => {
  const meter = createReadMeter(() => {});
  const stop = new AbortController();
  const taken = meter.take(1024 * mebibyte, stop.signal);
  stop.abort();
  await expect(taken).rejects.toMatchObject({ name: 'AbortError' });
});
