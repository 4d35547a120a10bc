import type { ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { BoughError } from '@bough/domain/bough-error';

/** Bounds the open streams of this process, and ends them all when it stops. */
export interface StreamLimiter {
  /** BoughError `server-busy`. */
  take(): { signal: AbortSignal; release(): void };
  stopAll(): void;
}

const streamsMax = 200;
/** Comments keep proxies from closing a silent stream. */
const heartbeatMs = 15_000;

export function createStreamLimiter(): StreamLimiter {
  const open = new Set<AbortController>();
  return {
    take() {
      if (open.size >= streamsMax) {
        throw new BoughError({
          code: 'server-busy',
          message: `${streamsMax} logs are being followed already.`,
          hint: 'Try again when somebody has closed a page, or read the log without following it.',
          retryable: true,
        });
      }
      const controller = new AbortController();
      open.add(controller);
      const release = () => {
        open.delete(controller);
        controller.abort();
      };
      return { signal: controller.signal, release };
    },
    stopAll() {
      for (const controller of open) controller.abort();
    },
  };
}

interface Reply {
  readonly raw: ServerResponse;
  type(contentType: string): this;
  header(name: string, value: string): this;
  send(payload: never): this;
}

/**
 * Server-sent events: each line a message, then the event `end`; without it the line broke and the reader may come back.
 * An error after the headers are out is an event `problem`.
 */
export function createEventStream<R extends Reply>(
  reply: R,
  limiter: StreamLimiter,
  lines: (signal: AbortSignal) => AsyncIterable<string>,
): R {
  const { signal, release } = limiter.take();
  const stream = Readable.from(events(lines(signal), signal), { objectMode: false });
  // Not the stream's own `close`: that comes only after the generator returned, which waits for the signal.
  reply.raw.once('close', release);
  reply
    .type('text/event-stream; charset=utf-8')
    .header('cache-control', 'no-store')
    .header('x-accel-buffering', 'no');
  return reply.send(stream as never);
}

async function* events(lines: AsyncIterable<string>, signal: AbortSignal): AsyncGenerator<string> {
  yield ': following\n\n';
  try {
    yield* withHeartbeats(lines);
  } catch (error) {
    if (!signal.aborted) yield `event: problem\n${message(describe(error))}`;
  }
  if (!signal.aborted) yield 'event: end\ndata: \n\n';
}

async function* withHeartbeats(lines: AsyncIterable<string>): AsyncGenerator<string> {
  const iterator = lines[Symbol.asyncIterator]();
  let timer: NodeJS.Timeout | undefined;
  const silence = () =>
    new Promise<'silence'>((resolve) => {
      timer = setTimeout(() => resolve('silence'), heartbeatMs);
    });
  try {
    let next = iterator.next();
    for (;;) {
      const come = await Promise.race([next, silence()]);
      clearTimeout(timer);
      if (come === 'silence') {
        yield ': still here\n\n';
        continue;
      }
      if (come.done) return;
      yield message(come.value);
      next = iterator.next();
    }
  } finally {
    clearTimeout(timer);
    await iterator.return?.();
  }
}

/** A line may hold carriage returns (progress bars), which would end the field. */
function message(line: string): string {
  const parts = line.split(/\r\n|\r|\n/);
  return `${parts.map((part) => `data: ${part}`).join('\n')}\n\n`;
}

function describe(error: unknown): string {
  return error instanceof BoughError ? error.message : 'The log cannot be read any further.';
}
