import { request } from 'node:http';
import { connect } from 'node:net';
import type { Clock } from '@bough/domain/clock';

/** Between two tries, a tenth of what was waited so far: somebody waits, and a try costs next to nothing. */
const SHORTEST_RETRY_MS = 5;
const LONGEST_RETRY_MS = 50;
const RETRY_SHARE = 0.1;

/** Tries until it works, the time is over, or somebody interrupts. The last failure is handed to `onTimeout`. */
export async function untilReady<Result>(
  attempt: (signal: AbortSignal) => Promise<Result>,
  options: {
    clock: Clock;
    timeoutMs: number;
    signal: AbortSignal;
    onTimeout: (cause: unknown) => Promise<Error> | Error;
    isHopeless?: () => Promise<boolean>;
  },
): Promise<Result> {
  const { clock } = options;
  const startedAt = clock.now().getTime();
  const deadline = startedAt + options.timeoutMs;
  for (;;) {
    options.signal.throwIfAborted();
    const share = (clock.now().getTime() - startedAt) * RETRY_SHARE;
    const retryMs = Math.min(Math.max(share, SHORTEST_RETRY_MS), LONGEST_RETRY_MS);
    const late = new AbortController();
    const timer = clock.after(Math.max(1, deadline - clock.now().getTime()), () => late.abort());
    try {
      return await attempt(AbortSignal.any([options.signal, late.signal]));
    } catch (error) {
      options.signal.throwIfAborted();
      const isOver = clock.now().getTime() + retryMs >= deadline || (await options.isHopeless?.()) === true;
      if (isOver) throw await options.onTimeout(error);
    } finally {
      timer.cancel();
    }
    await clock.sleep(retryMs, options.signal);
  }
}

/** Whether something accepts connections there. */
export function accepts(address: { host: string; port: number }, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: address.host, port: address.port, signal });
    socket.setTimeout(2_000, () => socket.destroy(new Error('no answer in 2 s')));
    socket.once('connect', () => {
      socket.destroy();
      resolve();
    });
    socket.once('error', reject);
  });
}

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** The first 4 KiB. */
  readonly body: string;
}

export interface GetOptions {
  readonly host: string;
  readonly port: number;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/**
 * One GET over node:http. Not `fetch`: on Node 20 it can hang for ever when it meets a port that is about to listen
 * (reference/platform.md §4).
 */
export function get(options: GetOptions): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      {
        host: options.host,
        port: options.port,
        path: options.path,
        headers: options.headers,
        signal: options.signal,
        agent: false,
        timeout: options.timeoutMs,
      },
      (response) => {
        const chunks: Buffer[] = [];
        let size = 0;
        const finish = () =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            body: Buffer.concat(chunks).toString('utf8').slice(0, 4096),
          });
        response.on('data', (chunk: Buffer) => {
          size += chunk.length;
          if (size <= 4096) chunks.push(chunk);
          else {
            finish();
            response.destroy();
          }
        });
        response.once('end', finish);
        response.once('error', reject);
      },
    );
    outgoing.once('timeout', () => outgoing.destroy(new Error(`no answer in ${options.timeoutMs} ms`)));
    outgoing.once('error', reject);
    outgoing.end();
  });
}
