import { BoughError } from '@bough/domain/bough-error';
import { Client } from 'pg';
import type { SourceLogin } from './parse-source-url.ts';

const connectTimeoutMs = 15_000;

/** What the server says of itself. */
export interface SourceFacts {
  readonly major: number;
  readonly isStandby: boolean;
  /** How old the newest transaction is that a standby has replayed; null where it knows of none. */
  readonly newestSeconds: number | null;
}

/** A connection of our own to the source, in a session that cannot write. */
async function withSource<Result>(
  login: SourceLogin,
  of: { service: string; signal: AbortSignal; queryTimeoutMs?: number },
  work: (client: Client) => Promise<Result>,
): Promise<Result> {
  const { env } = login;
  const mode = env.PGSSLMODE ?? '';
  const client = new Client({
    host: env.PGHOST,
    port: Number(env.PGPORT),
    user: env.PGUSER,
    password: env.PGPASSWORD,
    database: env.PGDATABASE,
    connectionTimeoutMillis: connectTimeoutMs,
    ...(of.queryTimeoutMs === undefined ? {} : { query_timeout: of.queryTimeoutMs }),
    application_name: 'bough',
    keepAlive: true,
    options: readOnlyOptions,
    ssl: /^(require|verify-)/.test(mode) ? { rejectUnauthorized: mode.startsWith('verify-') } : false,
  });
  client.on('error', () => {});
  const stop = () => void client.end().catch(() => {});
  of.signal.addEventListener('abort', stop, { once: true });
  try {
    await client.connect();
    return await work(client);
  } catch (error) {
    of.signal.throwIfAborted();
    throw error instanceof BoughError ? error : sourceError(error, login, of.service);
  } finally {
    of.signal.removeEventListener('abort', stop);
    await client.end().catch(() => {});
  }
}

export const readOnlyOptions =
  '-c default_transaction_read_only=on -c statement_timeout=0 -c lock_timeout=30s';

export function askSource(login: SourceLogin, service: string, signal: AbortSignal): Promise<SourceFacts> {
  return withSource(login, { service, signal, queryTimeoutMs: connectTimeoutMs }, async (client) => {
    const { rows } = await client.query<{ number: number; standby: boolean; seconds: number | null }>(
      `select current_setting('server_version_num')::int as number, pg_is_in_recovery() as standby,
         extract(epoch from clock_timestamp() - pg_last_xact_replay_timestamp())::float8 as seconds`,
    );
    const [row] = rows;
    return {
      major: Math.floor((row?.number ?? 0) / 10_000),
      isStandby: row?.standby === true,
      newestSeconds: row?.standby === true && row.seconds !== null ? Math.max(0, row.seconds) : null,
    };
  });
}

/** What a standby does to readers that are in the way of what it replays. */
export function recoveryConflict(service: string): BoughError {
  return new BoughError({
    code: 'source-conflict',
    message: `The standby that "${service}" is read from stopped the reading: canceling statement due to conflict with recovery.`,
    hint: 'Bough tries again. If it happens again: set hot_standby_feedback = on there, or raise max_standby_streaming_delay above the time that reading takes (-1: without end).',
    retryable: true,
  });
}

export function isRecoveryConflict(words: string): boolean {
  return /conflict with recovery/.test(words);
}

/** The server's own words may repeat what it was given, so that only its code is passed on. */
function sourceError(error: unknown, login: SourceLogin, service: string): BoughError {
  const code = String((error as { code?: unknown } | null)?.code ?? '');
  const at = `The source of "${service}" at ${login.host}`;
  if (isRecoveryConflict(String((error as { message?: unknown } | null)?.message)))
    return recoveryConflict(service);
  if (/^28/.test(code))
    return new BoughError({
      code: 'source-refused',
      message: `${at} refuses the user or the password (${code}).`,
      hint: 'Set the secret anew: bough secret set. Its user needs to log in from this machine (pg_hba.conf), maybe with ?sslmode=require.',
    });
  if (code === '3D000')
    return new BoughError({
      code: 'source-refused',
      message: `${at} has no such database.`,
      hint: 'Name the database at the end of the connection string, and set the secret anew: bough secret set.',
    });
  if (code === '42501')
    return new BoughError({
      code: 'source-not-readable',
      message: `${at} forbids its user to read a table.`,
      hint: readableHint,
    });
  return new BoughError({
    code: 'source-unreachable',
    message: `${at} does not answer (${code === '' ? 'no answer in 15 s' : code}).`,
    hint: 'Look whether this machine reaches it: host, port, firewall. Bough tries again by itself.',
    retryable: true,
  });
}

export const readableHint =
  'Its user needs select on every table and usage on every schema: grant pg_read_all_data to it.';
