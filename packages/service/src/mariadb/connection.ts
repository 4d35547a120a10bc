import { BoughError } from '@bough/domain/bough-error';
import { type Connection, createConnection, type RowDataPacket } from 'mysql2/promise';
import type { Login } from '../endpoint-login.ts';
import type { Address } from '../service.ts';

export interface ConnectionOptions {
  readonly statementTimeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** One connection, one statement at a time. */
export interface MariadbClient {
  query<Row extends object>(text: string): Promise<Row[]>;
}

const connectTimeoutMs = 5_000;
const defaultStatementTimeoutMs = 5 * 60_000;

export async function withConnection<Result>(
  address: Address,
  login: Login,
  options: ConnectionOptions,
  work: (client: MariadbClient) => Promise<Result>,
): Promise<Result> {
  options.signal?.throwIfAborted();
  const connection = await connect(address, login);
  const stop = () => connection.destroy();
  options.signal?.addEventListener('abort', stop, { once: true });
  const timeout = options.statementTimeoutMs ?? defaultStatementTimeoutMs;
  try {
    return await work({
      query: async <Row extends object>(sql: string) => {
        const [rows] = await connection.query<(Row & RowDataPacket)[]>({ sql, timeout });
        return Array.isArray(rows) ? rows : [];
      },
    });
  } finally {
    options.signal?.removeEventListener('abort', stop);
    await disconnect(connection);
  }
}

async function connect(address: Address, login: Login): Promise<Connection> {
  try {
    const connection = await createConnection({
      host: address.host,
      port: address.port,
      user: login.username,
      password: login.password.reveal(),
      connectTimeout: connectTimeoutMs,
      charset: 'utf8mb4',
      supportBigNumbers: true,
      bigNumberStrings: true,
      dateStrings: true,
    });
    // Without a listener a server that goes away takes the whole process down; queries reject on their own.
    connection.on('error', () => {});
    return connection;
  } catch (error) {
    throw isRefusal(error) ? refused(address, login, error) : error;
  }
}

/** Ends within a bounded time, also when the server has stopped answering. */
async function disconnect(connection: Connection): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, connectTimeoutMs);
  });
  await Promise.race([connection.end().catch(() => {}), deadline]);
  clearTimeout(timer);
  connection.destroy();
}

/** The server is there and does not want these credentials: 1045 wrong password, 1698 no such way in, 4151 locked. */
export function isRefusal(error: unknown): boolean {
  const { code, errno } = (error ?? {}) as { code?: unknown; errno?: unknown };
  return code === 'service-refused' || errno === 1045 || errno === 1698 || errno === 4151;
}

function refused(address: Address, login: Login, cause: unknown): BoughError {
  return new BoughError({
    code: 'service-refused',
    message: `MariaDB at ${address.host}:${address.port} does not accept the password of ${login.username}.`,
    hint: 'Its data came with other credentials: restore the matching ones, or remove the environment and make it anew.',
    cause,
  });
}
