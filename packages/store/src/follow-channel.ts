import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';

export interface FollowChannelOptions {
  readonly url: string;
  /** A constant of ours: a plain lower-case word. */
  readonly channel: string;
  /** Shown by Postgres: `bough gateway listen`. */
  readonly applicationName: string;
  /** Again after every break: whatever was announced while nobody listened. */
  readonly onListening: () => void;
  readonly onNews: (payload: string) => void;
  /** How often a connection whose other end may have vanished is asked. */
  readonly heartbeatMs: number;
  readonly backoffMs?: { readonly first: number; readonly most: number } | undefined;
  readonly log: { warn(fields: object, message: string): void };
  readonly signal: AbortSignal;
}

/** Hears what is announced on a channel of Postgres until the signal fires; never rejects, connects again by itself. */
export async function followChannel(options: FollowChannelOptions): Promise<void> {
  const { signal, log, channel } = options;
  const { first, most } = options.backoffMs ?? { first: 250, most: 10_000 };
  let pauseMs = first;
  while (!signal.aborted) {
    try {
      await listenOnce(options, () => {
        pauseMs = first;
        options.onListening();
      });
    } catch (error) {
      if (!signal.aborted)
        log.warn({ err: error, pauseMs, channel }, 'not told about changes; connecting again');
    }
    // Spread out, so that many processes do not come back in the same instant.
    await delay(pauseMs * (0.5 + Math.random() / 2), undefined, { signal }).catch(() => {});
    pauseMs = Math.min(most, pauseMs * 2);
  }
}

/** One connection's life; rejects when it breaks, resolves when the signal fires. */
async function listenOnce(options: FollowChannelOptions, onListening: () => void): Promise<void> {
  const { signal, channel } = options;
  const client = new pg.Client({
    connectionString: options.url,
    application_name: options.applicationName,
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
  client.on('notification', ({ payload }) => options.onNews(payload ?? ''));
  // A connection whose other end vanished without a word is only noticed by asking.
  let heartbeat: NodeJS.Timeout | undefined;
  try {
    await Promise.race([client.connect(), ended]);
    await client.query(`listen ${channel}`);
    onListening();
    const broken = new Promise<never>((_resolve, reject) => {
      heartbeat = setInterval(() => client.query('select 1').catch(reject), options.heartbeatMs);
    });
    await Promise.race([ended, broken]);
  } finally {
    clearInterval(heartbeat);
    await client.end().catch(() => {});
  }
}
