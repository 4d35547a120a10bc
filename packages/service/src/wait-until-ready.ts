import { setTimeout as delay } from 'node:timers/promises';

const firstPauseMs = 10;
const longestPauseMs = 250;

/**
 * Asks again and again, with pauses that grow, until `ask` answers or the signal fires. `isFinal` tells the failures
 * that waiting cannot mend (a wrong password) from those of a server that is still starting.
 */
export async function waitUntilReady<Answer>(
  ask: () => Promise<Answer>,
  isFinal: (error: unknown) => boolean,
  signal: AbortSignal,
): Promise<Answer> {
  for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(pauseMs * 1.5, longestPauseMs)) {
    signal.throwIfAborted();
    try {
      return await ask();
    } catch (error) {
      signal.throwIfAborted();
      if (isFinal(error)) throw error;
    }
    await delay(pauseMs, undefined, { signal });
  }
}
