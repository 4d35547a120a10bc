import { createHmac } from 'node:crypto';
import { BoughError } from '@bough/domain/bough-error';
import type { Secret } from '@bough/domain/secret';
import pg from 'pg';
import { innerKeySetting, maskFunctions, outerKeySetting } from './mask-functions.ts';
import type { Statement } from './masking-sql.ts';

/** A private server on a captured copy, which nobody else reaches. */
export interface PrivateServer {
  readonly host: string;
  readonly port: number;
  readonly username: string;
  readonly password: Secret;
}

const connectTimeoutMs = 10_000;
const sha256Block = 64;

/** The project's masking key: derived anew each time, never written anywhere. */
export function maskingKey(signingKey: Secret, projectId: string): Buffer {
  return createHmac('sha256', signingKey.reveal()).update(`bough masking v1:${projectId}`).digest();
}

/**
 * A superuser's connection with the masking functions in it; triggers do not fire, and the server's log learns nothing of
 * values. Ends when `signal` aborts.
 */
export async function withSession<Result>(
  server: PrivateServer,
  options: { database: string; key: Buffer; signal: AbortSignal },
  work: (client: pg.Client) => Promise<Result>,
): Promise<Result> {
  options.signal.throwIfAborted();
  const client = new pg.Client({
    host: server.host,
    port: server.port,
    user: server.username,
    password: server.password.reveal(),
    database: options.database,
    connectionTimeoutMillis: connectTimeoutMs,
    application_name: 'bough sanitize',
    ssl: false,
  });
  // Without a listener a server that goes away takes the whole process down; queries reject on their own.
  client.on('error', () => {});
  const stop = () => void client.end().catch(() => {});
  options.signal.addEventListener('abort', stop, { once: true });
  try {
    await client.connect();
    await prepare(client, options.key);
    return await work(client);
  } catch (error) {
    options.signal.throwIfAborted();
    throw error;
  } finally {
    options.signal.removeEventListener('abort', stop);
    await client.end().catch(() => {});
  }
}

/** Several of them; the first is never missing. */
export async function withSessions<Result>(
  server: PrivateServer,
  options: { database: string; key: Buffer; signal: AbortSignal; count: number },
  work: (clients: readonly [pg.Client, ...pg.Client[]]) => Promise<Result>,
): Promise<Result> {
  const { count, ...session } = options;
  return withSession(server, session, (first) =>
    count <= 1
      ? work([first])
      : withSessions(server, { ...session, count: count - 1 }, (others) => work([first, ...others])),
  );
}

/** Settings of one session, set in the others too. */
export async function shareSettings(
  [first, ...others]: readonly [pg.Client, ...pg.Client[]],
  names: readonly string[],
): Promise<void> {
  for (const name of names) {
    const { rows } = await first.query<{ value: string }>('select current_setting($1) as value', [name]);
    for (const client of others)
      await client.query('select set_config($1, $2, false)', [name, rows[0]?.value]);
  }
}

async function prepare(client: pg.Client, key: Buffer): Promise<void> {
  const padded = Buffer.concat([key, Buffer.alloc(sha256Block - key.length)]);
  const pad = (byte: number) => padded.map((value) => value ^ byte);
  await client.query(
    `select set_config('session_replication_role', 'replica', false), set_config('statement_timeout', '0', false),
       set_config('search_path', 'pg_catalog, public', false), set_config('lock_timeout', '60s', false),
       set_config('client_encoding', 'UTF8', false), set_config('client_min_messages', 'error', false), set_config('log_min_messages', 'panic', false),
       set_config('log_min_error_statement', 'panic', false), set_config('log_statement', 'none', false),
       set_config('log_min_duration_statement', '-1', false), set_config('row_security', 'off', false),
       set_config('${innerKeySetting}', $1, false), set_config('${outerKeySetting}', $2, false)`,
    [Buffer.from(pad(0x36)).toString('hex'), Buffer.from(pad(0x5c)).toString('hex')],
  );
  await client.query(maskFunctions());
}

/** Runs them in order; the number of rows that they changed. */
export async function runStatements(
  client: pg.Client,
  statements: readonly Statement[],
  step: string,
): Promise<number> {
  let rows = 0;
  for (const { where, sql } of statements) {
    try {
      rows += (await client.query(sql)).rowCount ?? 0;
    } catch (error) {
      throw withoutValues(error, `${step} ${where}`);
    }
  }
  return rows;
}

/** A server's message may quote the value that it choked on, so only its code is passed on; but its words on bad SQL are safe. */
export function withoutValues(error: unknown, step: string): unknown {
  if (!(error instanceof pg.DatabaseError)) return error;
  const code = error.code ?? '?????';
  const words = code.startsWith('42') && code !== '42601' ? `: ${error.message}` : '';
  const constraint = error.constraint === undefined ? '' : `, constraint ${error.constraint}`;
  return new BoughError({
    code: 'sanitize-failed',
    message: `Sanitizing stopped (${step}): PostgreSQL error ${code}${constraint}${words}.`,
    hint: 'Change the rule for this table under `data: sanitize:` in the default branch; nothing was cloned.',
  });
}
