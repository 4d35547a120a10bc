import { BoughError } from '@bough/domain/bough-error';
import { type Connection, createConnection, type RowDataPacket } from 'mysql2';
import type { PrivateServer } from '../session.ts';

/** A connection of Bough's own account; text comes and goes as UTF-8, moments as UTC. */
export interface Session {
  query<Row extends object = Record<string, unknown>>(sql: string): Promise<Row[]>;
  /** Rows that the statement changed. */
  execute(sql: string): Promise<number>;
  /** Rows as the bytes that the server sent, in the order of the columns, one after another. */
  stream(sql: string): AsyncIterable<readonly (Buffer | null)[]>;
}

const connectTimeoutMs = 10_000;
const rowsAhead = 500;

/**
 * Strict, so that a value that does not fit is an error and never cut; but zero dates and zeros in keys are taken as
 * production has them. References are looked at in the end, all at once.
 */
const prepare = [
  `set session sql_mode = 'STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES'`,
  `set session time_zone = '+00:00', foreign_key_checks = 0, max_statement_time = 0, lock_wait_timeout = 60,
     innodb_lock_wait_timeout = 60, net_read_timeout = 600, net_write_timeout = 600, sql_quote_show_create = 1,
     group_concat_max_len = 1000000`,
];

/** Ends when `signal` aborts. */
export async function withSession<Result>(
  server: PrivateServer,
  signal: AbortSignal,
  work: (session: Session) => Promise<Result>,
): Promise<Result> {
  signal.throwIfAborted();
  const connection = await connect(server);
  const stop = () => connection.destroy();
  signal.addEventListener('abort', stop, { once: true });
  try {
    const session = sessionOf(connection);
    for (const sql of prepare) await session.execute(sql);
    return await work(session);
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener('abort', stop);
    connection.destroy();
  }
}

function connect(server: PrivateServer): Promise<Connection> {
  const connection = createConnection({
    host: server.host,
    port: server.port,
    user: server.username,
    password: server.password.reveal(),
    connectTimeout: connectTimeoutMs,
    charset: 'utf8mb4',
    supportBigNumbers: true,
    bigNumberStrings: true,
    dateStrings: true,
  });
  // Without a listener a server that goes away takes the whole process down; queries reject on their own.
  connection.on('error', () => {});
  return new Promise((resolve, reject) => {
    connection.connect((error) => (error ? reject(error) : resolve(connection)));
  });
}

function sessionOf(connection: Connection): Session {
  const run = <Answer>(sql: string) =>
    new Promise<Answer>((resolve, reject) => {
      connection.query(sql, (error, result) => (error ? reject(error) : resolve(result as Answer)));
    });
  return {
    query: async <Row extends object>(sql: string) => {
      const rows = await run<(Row & RowDataPacket)[]>(sql);
      return Array.isArray(rows) ? rows : [];
    },
    execute: async (sql) => (await run<{ affectedRows?: number }>(sql)).affectedRows ?? 0,
    stream: (sql) =>
      connection
        .query({ sql, rowsAsArray: true, typeCast: (field) => field.buffer() })
        .stream({ highWaterMark: rowsAhead }) as AsyncIterable<(Buffer | null)[]>,
  };
}

/** A server's message may quote the value that it choked on, so only its number is passed on; its words on bad SQL are safe. */
export function withoutValues(error: unknown, step: string): unknown {
  const { errno, sqlMessage } = (error ?? {}) as { errno?: unknown; sqlMessage?: unknown };
  if (typeof errno !== 'number' || errno <= 0 || typeof sqlMessage !== 'string') return error;
  const words = safeErrors.has(errno) ? `: ${sqlMessage}` : '';
  return new BoughError({
    code: 'sanitize-failed',
    message: `Sanitizing stopped (${step}): MariaDB error ${errno}${words}.`,
    hint: 'Change the rule for this table under `data: sanitize:` in the default branch; nothing was cloned.',
  });
}

/** No such column, table, function; bad syntax quotes the statement, which holds values, and is not among them. */
const safeErrors = new Set([1054, 1146, 1305, 1049, 1142]);
