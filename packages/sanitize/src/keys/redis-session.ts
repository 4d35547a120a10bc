import { BoughError } from '@bough/domain/bough-error';
import { Redis } from 'ioredis';
import type { PrivateServer } from '../session.ts';

const connectTimeoutMs = 10_000;
/** A command reads at most some megabytes; what takes longer has hung. */
const commandTimeoutMs = 60_000;
/** Names per look: half a millisecond in which the server does nothing else. */
const scanCount = 500;

export type Argument = string | number | Buffer;

/** A connection to one Redis or Valkey. Replies are bytes: neither names nor values need be text. */
export interface RedisSession {
  /** All at once, answered in order; throws at the first that is refused. */
  ask(commands: readonly (readonly Argument[])[]): Promise<unknown[]>;
  /** As `ask`, with a refusal in the place of an answer. */
  try(commands: readonly (readonly Argument[])[]): Promise<unknown[]>;
  /** Databases that have keys. */
  databases(): Promise<number[]>;
  /** Every name of the database that is selected, in batches; one that was moved meanwhile may come twice. */
  scan(): AsyncGenerator<Buffer[]>;
}

/** Ends with the signal, too, whatever is under way. What goes wrong names no key and no value. */
export async function withRedis<Result>(
  server: PrivateServer,
  signal: AbortSignal,
  work: (session: RedisSession) => Promise<Result>,
): Promise<Result> {
  signal.throwIfAborted();
  const client = new Redis({
    host: server.host,
    port: server.port,
    protocol: 2,
    lazyConnect: true,
    connectTimeout: connectTimeoutMs,
    commandTimeout: commandTimeoutMs,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
    enableReadyCheck: false,
  });
  client.on('error', () => {});
  const end = () => client.disconnect();
  signal.addEventListener('abort', end, { once: true });
  try {
    await enter(client, server);
    return await work(sessionOf(client, signal));
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener('abort', end);
    client.disconnect();
  }
}

async function enter(client: Redis, { password }: PrivateServer): Promise<void> {
  try {
    await client.connect();
    await client.auth(password.reveal());
  } catch (error) {
    throw withoutNames(error);
  }
}

function sessionOf(client: Redis, signal: AbortSignal): RedisSession {
  const attempt = async (commands: readonly (readonly Argument[])[]): Promise<unknown[]> => {
    signal.throwIfAborted();
    if (commands.length === 0) return [];
    const pipeline = client.pipeline();
    // In capitals: the client makes objects of the answers to some commands that it knows by their small letters.
    for (const [name = '', ...parts] of commands) pipeline.callBuffer(String(name).toUpperCase(), ...parts);
    const replies =
      (await pipeline.exec().catch((error: unknown) => Promise.reject(withoutNames(error)))) ?? [];
    signal.throwIfAborted();
    return replies.map(([error, reply]) => error ?? reply);
  };
  const ask = async (commands: readonly (readonly Argument[])[]) => {
    const replies = await attempt(commands);
    const refused = replies.find((reply) => reply instanceof Error);
    if (refused !== undefined) throw withoutNames(refused);
    return replies;
  };
  return {
    ask,
    try: attempt,
    async databases() {
      const [info] = await ask([['info', 'keyspace']]);
      return [...text(info).matchAll(/^db(\d+):/gm)].map(([, number]) => Number(number));
    },
    async *scan() {
      let cursor = '0';
      do {
        const [reply] = await ask([['scan', cursor, 'count', scanCount]]);
        const [next, names] = Array.isArray(reply) ? reply : [];
        cursor = text(next);
        const batch = buffers(names);
        if (batch.length > 0) yield batch;
      } while (cursor !== '0' && cursor !== '');
    },
  };
}

export function text(reply: unknown): string {
  return Buffer.isBuffer(reply) ? reply.toString('utf8') : String(reply ?? '');
}

/** All byte strings of a reply, however deep they stand; numbers and what is missing are none. Throws where it would overlook something. */
export function buffers(reply: unknown): Buffer[] {
  if (Buffer.isBuffer(reply)) return [reply];
  if (Array.isArray(reply)) return reply.flatMap(buffers);
  if (reply === null || typeof reply === 'number' || reply instanceof Error) return [];
  throw new Error('an answer of Redis in a shape that nobody looks into');
}

/** A refusal's first word is its kind; the rest may repeat what was sent. */
function withoutNames(error: unknown): BoughError {
  const message = error instanceof Error ? error.message : '';
  const kind = /^[A-Z]{3,20}(?= )/.exec(message)?.[0];
  const known = error instanceof Error && 'code' in error ? String(error.code) : undefined;
  const what = kind ?? known ?? (/timed out/i.test(message) ? 'no answer in time' : 'the connection ended');
  return new BoughError({
    code: 'keys-not-copied',
    message: `Redis did not let its keys be copied: ${what}.`,
    hint: 'Bough tries again; the previous golden snapshot stays in use. Look whether the service runs and answers.',
    retryable: true,
  });
}
