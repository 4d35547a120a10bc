import type { GatewayLimits } from './limits.ts';

/** A place in the holding room; `leave` gives it back. */
export interface HeldPlace {
  leave(): void;
}

/**
 * Where requests wait while a release is swapped: bounded in number, in total and for each environment, so that one
 * environment that never gets up cannot use up the gateway.
 */
export interface Holding {
  /** Null when there is no place. */
  enter(environmentId: string): HeldPlace | null;
  /** Resolves when the table was changed, the time is over, or the signal fires; never rejects. */
  untilChange(timeoutMs: number, signal: AbortSignal): Promise<void>;
  /** The table was changed: everybody looks again. */
  release(): void;
}

export function createHolding(options: {
  limits: Pick<GatewayLimits, 'held' | 'heldPerEnvironment'>;
  onCount: (count: number) => void;
}): Holding {
  const { limits, onCount } = options;
  const perEnvironment = new Map<string, number>();
  const waiting = new Set<() => void>();
  let total = 0;

  function count(environmentId: string, change: 1 | -1): void {
    total += change;
    const here = (perEnvironment.get(environmentId) ?? 0) + change;
    if (here === 0) perEnvironment.delete(environmentId);
    else perEnvironment.set(environmentId, here);
    onCount(total);
  }

  return {
    enter(environmentId) {
      if (total >= limits.held || (perEnvironment.get(environmentId) ?? 0) >= limits.heldPerEnvironment)
        return null;
      count(environmentId, 1);
      let left = false;
      return {
        leave() {
          if (!left) count(environmentId, -1);
          left = true;
        },
      };
    },
    untilChange(timeoutMs, signal) {
      return new Promise((resolve) => {
        if (signal.aborted) return resolve();
        const wake = () => {
          clearTimeout(timer);
          waiting.delete(wake);
          signal.removeEventListener('abort', wake);
          resolve();
        };
        const timer = setTimeout(wake, Math.max(0, timeoutMs));
        waiting.add(wake);
        signal.addEventListener('abort', wake);
      });
    },
    release() {
      for (const wake of [...waiting]) wake();
    },
  };
}
