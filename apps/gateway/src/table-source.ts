import { setTimeout as delay } from 'node:timers/promises';
import type { RouteTable } from '@bough/domain/route';
import pg from 'pg';
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
  await listenUntilAborted(options, reload.request);
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

async function listenUntilAborted(options: FollowOptions, onChange: () => void): Promise<void> {
  const { signal, log } = options;
  const { first, most } = options.backoffMs ?? { first: 250, most: 10_000 };
  let pauseMs = first;
  while (!signal.aborted) {
    try {
      await listenOnce(
        options,
        () => {
          pauseMs = first;
          // Whatever was announced while nobody listened.
          onChange();
        },
        onChange,
      );
    } catch (error) {
      if (!signal.aborted)
        log.warn({ err: error, pauseMs }, 'not told about route changes; connecting again');
    }
    // Spread out, so that many gateways do not come back in the same instant.
    await delay(pauseMs * (0.5 + Math.random() / 2), undefined, { signal }).catch(() => {});
    pauseMs = Math.min(most, pauseMs * 2);
  }
}

/** One connection's life; rejects when it breaks, resolves when the signal fires. */
async function listenOnce(
  options: FollowOptions,
  onListening: () => void,
  onChange: () => void,
): Promise<void> {
  const { signal } = options;
  const client = new pg.Client({
    connectionString: options.url,
    application_name: 'bough gateway listen',
    connectionTimeoutMillis: 10_000,
    query_timeout: 5_000,
    keepAlive: true,
  });
  const ended = new Promise<void>((resolve, reject) => {
    client.on('error', reject);
    client.on('end', () => reject(new Error('the database closed the connection')));
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
  ended.catch(() => {});
  client.on('notification', onChange);
  // A connection whose other end vanished without a word is only noticed by asking.
  let heartbeat: NodeJS.Timeout | undefined;
  try {
    await Promise.race([client.connect(), ended]);
    await client.query('listen routes');
    onListening();
    const broken = new Promise<never>((_resolve, reject) => {
      heartbeat = setInterval(() => client.query('select 1').catch(reject), options.pollMs ?? 10_000);
    });
    await Promise.race([ended, broken]);
  } finally {
    clearInterval(heartbeat);
    await client.end().catch(() => {});
  }
}
