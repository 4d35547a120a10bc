import { Client } from 'pg';
import type { SourceLogin } from './parse-source-url.ts';

export const connectTimeoutMs = 15_000;
/** A network that died silently is noticed, however slowly the rows come. */
const keepAliveAfterMs = 60_000;

export const readOnlyOptions =
  '-c default_transaction_read_only=on -c statement_timeout=0 -c lock_timeout=30s';

interface Connecting {
  readonly signal: AbortSignal;
  readonly queryTimeoutMs?: number;
}

/** Encrypted where libpq would encrypt: what pg_dump hides on its way must not come in the open beside it. */
export async function connectSource(login: SourceLogin, of: Connecting): Promise<Client> {
  let failure: unknown;
  for (const ssl of waysOf(login.env.PGSSLMODE ?? 'prefer')) {
    of.signal.throwIfAborted();
    try {
      return await connect(clientOf(login, of, ssl), of.signal);
    } catch (error) {
      if (!isOfThisWay(error)) throw error;
      failure = error;
    }
  }
  throw failure;
}

type Ssl = false | { readonly rejectUnauthorized: boolean };

function waysOf(mode: string): readonly Ssl[] {
  const encrypted = { rejectUnauthorized: mode.startsWith('verify-') };
  if (mode === 'disable') return [false];
  if (mode === 'allow') return [false, encrypted];
  return mode === 'prefer' ? [encrypted, false] : [encrypted];
}

/** The server cannot encrypt, or has another rule for this user where the connection is encrypted, or is not. */
function isOfThisWay(error: unknown): boolean {
  const { code, message } = (error ?? {}) as { code?: unknown; message?: unknown };
  return code === '28000' || /does not support SSL/.test(String(message));
}

function clientOf({ env }: SourceLogin, { queryTimeoutMs }: Connecting, ssl: Ssl): Client {
  const client = new Client({
    host: env.PGHOST,
    port: Number(env.PGPORT),
    user: env.PGUSER,
    password: env.PGPASSWORD,
    database: env.PGDATABASE,
    connectionTimeoutMillis: connectTimeoutMs,
    ...(queryTimeoutMs === undefined ? {} : { query_timeout: queryTimeoutMs }),
    application_name: 'bough',
    keepAlive: true,
    keepAliveInitialDelayMillis: keepAliveAfterMs,
    options: readOnlyOptions,
    ssl,
  });
  client.on('error', () => {});
  return client;
}

async function connect(client: Client, signal: AbortSignal): Promise<Client> {
  const stop = () => void client.end().catch(() => {});
  signal.addEventListener('abort', stop, { once: true });
  try {
    await client.connect();
    return client;
  } catch (error) {
    stop();
    throw error;
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
