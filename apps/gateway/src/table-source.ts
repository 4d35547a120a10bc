import { setTimeout as delay } from 'node:timers/promises';
import type { RouteTable } from '@bough/domain/route';
import { followChannel } from '@bough/store/follow-channel';
import { routesChannel } from '@bough/store/routes';
import type { GatewayLog } from './gateway-log.ts';

export interface FollowOptions {
  /** Database whose channel `routes` announces changes. */
  readonly url: string;
  readonly read: () => Promise<RouteTable>;
  readonly onTable: (table: RouteTable) => void;
  readonly log: GatewayLog;
  readonly signal: AbortSignal;
  /** Looks without being told: what a lost notification costs at most. */
  readonly pollMs?: number | undefined;
  readonly backoffMs?: { readonly first: number; readonly most: number } | undefined;
}

const debounceMs = 10;

/**
 * Keeps the table up to date until the signal fires; never rejects. A database that is down costs nothing but news: the
 * last table stays, and the connection is tried again.
 */
export async function followRouteTable(options: FollowOptions): Promise<void> {
  const reload = createReload(options);
  const poll = setInterval(reload.request, options.pollMs ?? 10_000);
  reload.request();
  await followChannel({
    ...options,
    channel: routesChannel,
    applicationName: 'bough gateway listen',
    onListening: reload.request,
    onNews: reload.request,
    heartbeatMs: options.pollMs ?? 10_000,
  });
  clearInterval(poll);
  await reload.settled();
}

/** One read at a time; what is asked for meanwhile is one more read. */
function createReload(options: FollowOptions): { request: () => void; settled: () => Promise<void> } {
  const { signal, log } = options;
  let isWanted = false;
  let running: Promise<void> | null = null;
  let isFailing = false;

  async function run(): Promise<void> {
    while (isWanted && !signal.aborted) {
      isWanted = false;
      try {
        const table = await options.read();
        if (!signal.aborted) options.onTable(table);
        if (isFailing) log.info({}, 'routing table is read again');
        isFailing = false;
      } catch (error) {
        if (!isFailing) log.warn({ err: error }, 'routing table cannot be read; the last one stays');
        isFailing = true;
      }
      // Many changes at once are one read.
      await delay(debounceMs, undefined, { signal }).catch(() => {});
    }
    running = null;
  }

  return {
    request() {
      isWanted = true;
      running ??= run();
    },
    settled: async () => {
      await running;
    },
  };
}
