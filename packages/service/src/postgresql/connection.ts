import { BoughError } from '@bough/domain/bough-error';
import { Client } from 'pg';
import type { Login } from '../endpoint-login.ts';
import type { Address } from '../service.ts';

export interface ConnectionOptions {
  /** There in every cluster, whatever the declaration says. */
  readonly database?: string;
  readonly statementTimeoutMs?: number;
  readonly signal?: AbortSignal;
}

const connectTimeoutMs = 5_000;
const defaultStatementTimeoutMs = 5 * 60_000;

/** A dedicated connection; the caller ends it. */
export async function connect(
  address: Address,
  login: Login,
  options: ConnectionOptions = {},
): Promise<Client> {
  options.signal?.throwIfAborted();
  const client = new Client({
    host: address.host,
    port: address.port,
    user: login.username,
    password: login.password.reveal(),
    database: options.database ?? 'postgres',
    connectionTimeoutMillis: connectTimeoutMs,
    statement_timeout: options.statementTimeoutMs ?? defaultStatementTimeoutMs,
    query_timeout: (options.statementTimeoutMs ?? defaultStatementTimeoutMs) + 5_000,
    application_name: 'bough',
    ssl: false,
  });
  // Without a listener a server that goes away takes the whole process down; queries reject on their own.
  client.on('error', () => {});
  const stop = () => void client.end().catch(() => {});
  options.signal?.addEventListener('abort', stop, { once: true });
  try {
    await client.connect();
    options.signal?.throwIfAborted();
    return client;
  } catch (error) {
    stop();
    throw isRefusal(error) ? refused(address, login, error) : error;
  } finally {
    options.signal?.removeEventListener('abort', stop);
  }
}

export async function withConnection<Result>(
  address: Address,
  login: Login,
  options: ConnectionOptions,
  work: (client: Client) => Promise<Result>,
): Promise<Result> {
  const client = await connect(address, login, options);
  try {
    return await work(client);
  } finally {
    await disconnect(client);
  }
}

/** In one round trip and one transaction: all of them or none. */
export async function together(client: Client, statements: readonly string[]): Promise<void> {
  if (statements.length > 0) await client.query(statements.join(';\n'));
}

/** Ends within a bounded time, also when the server has stopped answering. */
export async function disconnect(client: Client): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, connectTimeoutMs);
  });
  await Promise.race([client.end().catch(() => {}), deadline]);
  clearTimeout(timer);
}

/** The server is there and does not want these credentials: 28P01 wrong password, 28000 no entry in pg_hba.conf. */
export function isRefusal(error: unknown): boolean {
  const code = (error as { code?: unknown } | null)?.code;
  return code === '28P01' || code === '28000' || code === 'service-refused';
}

/** 3D000: it let us in, but has no such database. */
export function isNoDatabase(error: unknown): boolean {
  return (error as { code?: unknown } | null)?.code === '3D000';
}

function refused(address: Address, login: Login, cause: unknown): BoughError {
  return new BoughError({
    code: 'service-refused',
    message: `PostgreSQL at ${address.host}:${address.port} does not accept the password of ${login.username}.`,
    hint: 'Its data came with other credentials: restore the matching ones, or remove the environment and make it anew.',
    cause,
  });
}
