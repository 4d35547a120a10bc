import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { BoughError } from '@bough/domain/bough-error';
import type { Surroundings } from './benchmark.ts';
import { workedMs } from './machine.ts';
import type { Spread } from './spread.ts';

/** What the sender is told. */
export interface Load {
  readonly url: string;
  readonly secret: string;
  /** Deliveries a second. */
  readonly rate: number;
  readonly seconds: number;
  /** The number of the first pull request or branch; the others follow. */
  readonly firstNumber: number;
  /** Of the delivery ids. */
  readonly prefix: string;
}

export interface LoadResult {
  readonly sent: number;
  /** Answered with 2xx. */
  readonly accepted: number;
  readonly refused: number;
  readonly statuses: Readonly<Record<string, number>>;
  readonly achievedRate: number;
  readonly bytes: number;
  /** From writing the request to the end of its answer. */
  readonly answerMs: Spread;
  /** From the moment at which it was due: includes what the sender itself was late. */
  readonly fromDueMs: Spread;
  readonly lateMs: Spread;
}

/** A server that takes webhooks, in a process of its own. */
export interface Target {
  readonly name: string;
  readonly url: string;
  /** The server itself. */
  readonly pid: () => number | undefined;
  /** Its database's processes. */
  readonly storePids: () => Promise<readonly number[]>;
}

/** Processor time for each delivery. */
export interface Effort {
  readonly serverMsEach: number;
  readonly storeMsEach: number;
}

const LOAD = fileURLToPath(new URL('webhook-load.ts', import.meta.url));

/** Sends deliveries from a process of its own and adds what the target's processes worked for each. */
export async function sendLoad(
  target: Target,
  load: Omit<Load, 'url'>,
  { shutdown }: Surroundings,
): Promise<LoadResult & Effort> {
  shutdown.signal.throwIfAborted();
  const sender = fork(LOAD, { execArgv: ['--import', import.meta.resolve('tsx')] });
  const onAbort = () => void sender.kill('SIGKILL');
  shutdown.signal.addEventListener('abort', onAbort, { once: true });
  const before = await effortOf(target);
  try {
    sender.send({ ...load, url: target.url });
    const result = await answerOf(sender);
    const after = await effortOf(target);
    return {
      ...result,
      serverMsEach: (after.server - before.server) / result.sent,
      storeMsEach: (after.store - before.store) / result.sent,
    };
  } finally {
    shutdown.signal.removeEventListener('abort', onAbort);
    sender.kill('SIGKILL');
  }
}

async function effortOf(target: Target): Promise<{ server: number; store: number }> {
  const pid = target.pid();
  return {
    server: await workedMs(pid === undefined ? [] : [pid]),
    store: await workedMs(await target.storePids()),
  };
}

async function answerOf(sender: ChildProcess): Promise<LoadResult> {
  const message = once(sender, 'message').then(([result]) => result as LoadResult);
  const ended = once(sender, 'exit').then(([code]) => {
    throw new BoughError({ code: 'bench-sender-failed', message: `The sender ended early (${code}).` });
  });
  return await Promise.race([message, ended]);
}
