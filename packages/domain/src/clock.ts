/**
 * The time, and waiting for it. An argument wherever either decides something, so that a simulation can own both
 * (decision 10); everybody else passes `systemClock`.
 */
export interface Clock {
  now(): Date;
  /** Resolves after the time, or as soon as the signal aborts: whoever cares asks the signal. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Calls back once after the time, unless cancelled before. `background`: does not keep the process alive. */
  after(ms: number, run: () => void, options?: { background?: boolean }): Timer;
}

export interface Timer {
  cancel(): void;
}

export const systemClock: Clock = {
  now: () => new Date(),
  sleep: (ms, signal) => sleepOn(systemClock, ms, signal),
  after(ms, run, options = {}) {
    const timer = setTimeout(run, ms);
    if (options.background === true) timer.unref();
    return { cancel: () => clearTimeout(timer) };
  },
};

/** `sleep` for a clock that can call back. */
export function sleepOn(clock: Pick<Clock, 'after'>, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) return resolve();
    const wake = () => {
      timer.cancel();
      signal?.removeEventListener('abort', wake);
      resolve();
    };
    const timer = clock.after(ms, wake);
    signal?.addEventListener('abort', wake, { once: true });
  });
}
