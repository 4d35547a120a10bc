import type { GatewayLog } from './gateway-log.ts';

/** Who was where, told in batches; and the bell by which what sleeps is woken. */
export interface Visits {
  /** A visit begins; call what it returns when it ends. Long ones, a WebSocket, count as visits all the time. */
  enter(environmentId: string): () => void;
  /** At once, and not more often than every `wakeAgainMs`; never throws. */
  wake(environmentId: string): void;
  /** Tells what is left. */
  close(): Promise<void>;
}

export interface VisitsOptions {
  readonly record: (visits: readonly { environmentId: string; at: Date }[]) => Promise<void>;
  readonly askToWake: (environmentId: string) => Promise<void>;
  readonly log: GatewayLog;
  readonly flushMs: number;
  readonly wakeAgainMs: number;
}

/** Environments remembered at once: far more than one machine has. */
const ENTRIES_MAX = 10_000;

export function createVisits(options: VisitsOptions): Visits {
  const { log } = options;
  const seen = new Map<string, Date>();
  const inside = new Map<string, number>();
  const rung = new Map<string, number>();
  let flushing: Promise<void> | null = null;

  async function flush(): Promise<void> {
    const now = new Date();
    for (const environmentId of inside.keys()) note(environmentId, now);
    if (seen.size === 0) return;
    const visits = [...seen].map(([environmentId, at]) => ({ environmentId, at }));
    seen.clear();
    try {
      await options.record(visits);
    } catch (error) {
      // The database is away: told with the next batch.
      for (const { environmentId, at } of visits) note(environmentId, at);
      log.warn({ err: error, environments: visits.length }, 'visits not recorded yet');
    }
  }

  function note(environmentId: string, at: Date): void {
    if (!seen.has(environmentId) && seen.size >= ENTRIES_MAX) return;
    const before = seen.get(environmentId);
    if (before === undefined || before < at) seen.set(environmentId, at);
  }

  const timer = setInterval(() => {
    flushing ??= flush().finally(() => {
      flushing = null;
    });
  }, options.flushMs);
  timer.unref();

  return {
    enter(environmentId) {
      note(environmentId, new Date());
      // It woke. Put to sleep again the next moment, it is to be woken again at once.
      rung.delete(environmentId);
      inside.set(environmentId, (inside.get(environmentId) ?? 0) + 1);
      let left = false;
      return () => {
        if (left) return;
        left = true;
        const others = (inside.get(environmentId) ?? 1) - 1;
        if (others > 0) inside.set(environmentId, others);
        else inside.delete(environmentId);
      };
    },
    wake(environmentId) {
      const now = performance.now();
      const before = rung.get(environmentId);
      if (before !== undefined && now - before < options.wakeAgainMs) return;
      if (rung.size >= ENTRIES_MAX) rung.clear();
      rung.set(environmentId, now);
      options.askToWake(environmentId).catch((error: unknown) => {
        rung.delete(environmentId);
        log.warn({ err: error, environmentId }, 'nobody could be asked to wake an environment');
      });
    },
    async close() {
      clearInterval(timer);
      await flushing;
      await flush();
    },
  };
}
