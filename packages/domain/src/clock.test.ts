import { expect, test } from 'vitest';
import { sleepOn, systemClock, type Timer } from './clock.ts';

/** A clock whose timers ring when the test says so. */
function createRinger() {
  const waiting = new Map<Timer, () => void>();
  const after = (_ms: number, run: () => void): Timer => {
    const timer = { cancel: () => void waiting.delete(timer) };
    waiting.set(timer, run);
    return timer;
  };
  return { after, waiting, ring: () => [...waiting.values()].map((run) => run()) };
}

test('sleeps until the time has come', async () => {
  const ringer = createRinger();
  let isAwake = false;
  const sleeping = sleepOn(ringer, 1_000).then(() => {
    isAwake = true;
  });
  await Promise.resolve();
  expect(isAwake).toBe(false);
  ringer.ring();
  await sleeping;
  expect(ringer.waiting.size).toBe(0);
});

test('wakes at once when aborted, and leaves no timer', async () => {
  const ringer = createRinger();
  const stop = new AbortController();
  const sleeping = sleepOn(ringer, 1_000, stop.signal);
  stop.abort();
  await sleeping;
  await sleepOn(ringer, 1_000, stop.signal);
  expect(ringer.waiting.size).toBe(0);
});

test('the clock of the system goes, and forgets what is cancelled', async () => {
  let rang = false;
  systemClock
    .after(5, () => {
      rang = true;
    })
    .cancel();
  const from = systemClock.now().getTime();
  await systemClock.sleep(20);
  expect(systemClock.now().getTime()).toBeGreaterThan(from);
  expect(rang).toBe(false);
});
