import { setTimeout as delay } from 'node:timers/promises';
import { inspect } from 'node:util';

export interface WaitOptions {
  readonly timeoutMs?: number | undefined;
  readonly intervalMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

type Falsy = false | null | undefined | 0 | '';

/**
 * Asks again and again until the answer is truthy, and returns it. A probe that throws counts as "not yet". When the time
 * is up, the error says what was waited for and what the last answer was.
 */
export async function waitFor<Value>(
  what: string,
  probe: () => Promise<Value | Falsy> | Value | Falsy,
  options: WaitOptions = {},
): Promise<Value> {
  const { timeoutMs = 10_000, intervalMs = 25, signal } = options;
  const deadline = Date.now() + timeoutMs;
  let last = 'nothing yet';
  for (;;) {
    try {
      const value = await probe();
      if (value) return value;
      last = inspect(value, { depth: 4 });
    } catch (error) {
      last = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    }
    if (Date.now() >= deadline)
      throw new Error(`waited ${timeoutMs} ms for ${what}; the last answer was ${last}`);
    await delay(intervalMs, undefined, { signal });
  }
}
