import { BoughError } from '@bough/domain/bough-error';
import type { Client } from 'pg';
import { connectSource, connectTimeoutMs } from './connect-source.ts';
import type { SourceLogin } from './parse-source-url.ts';

/** What the server says of itself. */
export interface SourceFacts {
  readonly major: number;
  readonly isStandby: boolean;
  /** How old the newest transaction is that a standby has replayed; null where it knows of none. */
  readonly newestSeconds: number | null;
}

/** A connection of our own to the source, in a session that cannot write. The signal cuts it. */
export async function withSource<Result>(
  login: SourceLogin,
  of: { service: string; signal: AbortSignal; queryTimeoutMs?: number },
  work: (client: Client) => Promise<Result>,
): Promise<Result> {
  let client: Client | undefined;
  const stop = () => void client?.end().catch(() => {});
  of.signal.addEventListener('abort', stop, { once: true });
  try {
    client = await connectSource(login, of);
    return await work(client);
  } catch (error) {
    of.signal.throwIfAborted();
    throw sourceError(error, login, of.service);
  } finally {
    of.signal.removeEventListener('abort', stop);
    await client?.end().catch(() => {});
  }
}

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

/** A proxy before several servers, or a pool that shares its connections, leads each connection elsewhere. */
export function snapshotLost(service: string): BoughError {
  return new BoughError({
    code: 'source-not-one',
    message: `The source of "${service}" does not know the snapshot that its first connection is to share with the others.`,
    hint: 'Set the secret to the address of one server, not of a pool or a balancer before several; or write `connections: 1` below `data: source:` in the default branch.',
  });
}

export function isRecoveryConflict(words: string): boolean {
  return /conflict with recovery/.test(words);
}

/** The server's own words may repeat what it was given, so that only its code is passed on. */
export function sourceError(error: unknown, login: SourceLogin, service: string): BoughError {
  if (error instanceof BoughError) return error;
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
  if (code === '42P01' || code === '42703' || code === '55P03')
    return new BoughError({
      code: 'source-changed',
      message: `${at} changed or held back its tables while they were about to be read (${code}).`,
      hint: 'Bough tries again. If it happens again: read at a time when no migration runs there (`data: refresh:`).',
      retryable: true,
    });
  if (code === '22023' || code === '42704') return snapshotLost(service);
  return new BoughError({
    code: 'source-unreachable',
    message: `${at} does not answer (${code === '' ? 'no answer in 15 s' : code}).`,
    hint: 'Look whether this machine reaches it: host, port, firewall. Bough tries again by itself.',
    retryable: true,
  });
}

export const readableHint =
  'Its user needs select on every table and usage on every schema: grant pg_read_all_data to it.';
