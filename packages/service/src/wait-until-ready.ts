import { setTimeout as delay } from 'node:timers/promises';

const shortestPauseMs = 5;
const longestPauseMs = 250;
/** Of the time waited so far: what is found too late by a pause is never much against the whole. */
const pauseShare = 0.1;

/**
 * Asks again and again, with pauses that grow, until `ask` answers or the signal fires. `isFinal` tells the failures
 * that waiting cannot mend (a wrong password) from those of a server that is still starting.
 */
export async function waitUntilReady<Answer>(
  ask: () => Promise<Answer>,
  isFinal: (error: unknown) => boolean,
  signal: AbortSignal,
): Promise<Answer> {
  const startedAt = performance.now();
  for (;;) {
    signal.throwIfAborted();
    try {
      return await ask();
    } catch (error) {
      signal.throwIfAborted();
      if (isFinal(error)) throw error;
    }
    const pauseMs = (performance.now() - startedAt) * pauseShare;
    await delay(Math.min(Math.max(pauseMs, shortestPauseMs), longestPauseMs), undefined, { signal });
  }
}
