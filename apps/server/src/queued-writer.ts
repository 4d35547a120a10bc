import { type Clock, systemClock, type Timer } from '@bough/domain/clock';
import { settleDeliveries } from '@bough/store/deliveries';
import type { ServerOptions } from './options.ts';

const batchMs = 25;
const batchMax = 500;

/**
 * Writes the fate `queued` behind the answers, many at once. It may be late or lost: the looks are in the queue, and
 * what stays `received` is only queued once more by the sweeper.
 */
export interface QueuedWriter {
  write(deliveryRowId: string): void;
  /** Settles when everything so far is written, or was given up. */
  drain(): Promise<void>;
}

export function createQueuedWriter({
  pool,
  log,
  clock = systemClock,
}: Pick<ServerOptions, 'pool' | 'log'> & { readonly clock?: Clock }): QueuedWriter {
  let waiting: string[] = [];
  let timer: Timer | undefined;
  const writing = new Set<Promise<void>>();

  function flush(): void {
    timer?.cancel();
    timer = undefined;
    const ids = waiting;
    waiting = [];
    if (ids.length === 0) return;
    const work = settleDeliveries(pool, ids, { fate: 'queued' })
      .then(() => undefined)
      .catch((error: unknown) => log.warn({ err: error, count: ids.length }, 'fates not written yet'))
      .finally(() => writing.delete(work));
    writing.add(work);
  }

  return {
    write(deliveryRowId) {
      waiting.push(deliveryRowId);
      timer ??= clock.after(batchMs, flush);
      if (waiting.length >= batchMax) flush();
    },
    async drain() {
      flush();
      await Promise.all(writing);
    },
  };
}
