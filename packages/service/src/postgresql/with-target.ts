import { BoughError } from '@bough/domain/bough-error';
import { Client } from 'pg';

const connectTimeoutMs = 15_000;

/** The private server and who its database belongs to: not a superuser, whatever the source holds. */
export interface LoadTarget {
  readonly service: string;
  readonly major: number;
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
}

/** A connection of our own to the private server. `stop` cuts it, as the signal does: what runs on it then fails. */
export async function withTarget<Result>(
  { service, major: _, ...server }: LoadTarget,
  signal: AbortSignal,
  work: (client: Client, stop: () => void) => Promise<Result>,
): Promise<Result> {
  const client = new Client({
    ...server,
    connectionTimeoutMillis: connectTimeoutMs,
    keepAlive: true,
    application_name: 'bough',
  });
  client.on('error', () => {});
  const stop = () => void client.end().catch(() => {});
  signal.addEventListener('abort', stop, { once: true });
  try {
    await client.connect().catch((error: unknown) => {
      throw unreachable(service, error);
    });
    return await work(client, stop);
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener('abort', stop);
    await client.end().catch(() => {});
  }
}

function unreachable(service: string, cause: unknown): BoughError {
  return new BoughError({
    code: 'source-not-loaded',
    message: `The private server that "${service}" is read into does not answer.`,
    hint: 'Bough tries again by itself. If it happens again, look whether this machine has run out of memory: journalctl -k.',
    retryable: true,
    cause,
  });
}
