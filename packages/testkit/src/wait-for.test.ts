import { expect, test } from 'vitest';
import { waitFor } from './wait-for.ts';

test('returns the first truthy answer', async () => {
  let asked = 0;
  const answer = await waitFor('three', () => {
    asked += 1;
    return asked === 3 && asked;
  });
  expect(answer).toBe(3);
});

test('says what was waited for and what came last', async () => {
  const probe = () => {
    throw new Error('connection refused');
  };
  const waiting = waitFor('the server', probe, { timeoutMs: 30, intervalMs: 5 });
  await expect(waiting).rejects.toThrow(
    'waited 30 ms for the server; the last answer was Error: connection refused',
  );
});

test('ends when it is aborted', async () => {
  const controller = new AbortController();
  const waiting = waitFor('ever', () => false, { signal: controller.signal });
  controller.abort();
  await expect(waiting).rejects.toThrow('aborted');
});
