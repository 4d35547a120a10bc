import { type Connection, createConnection, type RowDataPacket } from 'mysql2/promise';
import type { ObservedServer } from '../session.ts';

/** One connection of ours, one text at a time. What it asks is not logged. */
export interface Session {
  /** As the server's lists call it. */
  readonly id: number;
  query<Row extends object>(sql: string): Promise<Row[]>;
  /** A text of several statements: the rows of each. */
  queryAll(sql: string): Promise<Record<string, unknown>[][]>;
  close(): Promise<void>;
}

const connectTimeoutMs = 10_000;
/** None of ours asks for more than a look into the catalogue. */
const queryTimeoutMs = 60_000;

export interface SessionOptions {
  /** The server gives up a statement of ours after so long, whatever it waits for. */
  readonly statementTimeoutMs?: number;
}

/** The caller closes it. */
export async function openSession(server: ObservedServer, options: SessionOptions = {}): Promise<Session> {
  const timeoutMs = options.statementTimeoutMs ?? queryTimeoutMs;
  const connection = await createConnection({
    host: server.host,
    port: server.port,
    user: server.username,
    password: server.password.reveal(),
    connectTimeout: connectTimeoutMs,
    charset: 'utf8mb4',
    multipleStatements: true,
    dateStrings: true,
  });
  // Without a listener a server that goes away takes the whole process down; queries reject on their own.
  connection.on('error', () => {});
  const run = async (sql: string): Promise<unknown> => {
    const [result] = await connection.query<RowDataPacket[]>({ sql, timeout: timeoutMs + connectTimeoutMs });
    return result;
  };
  try {
    const seconds = timeoutMs / 1_000;
    const waitSeconds = Math.max(1, Math.floor(seconds));
    await run(
      `set session sql_mode = '', max_statement_time = ${seconds}, lock_wait_timeout = ${waitSeconds},
         innodb_lock_wait_timeout = ${waitSeconds}, slow_query_log = 0`,
    );
    const [own] = (await run('select connection_id() as id')) as { id: number }[];
    return {
      id: own?.id ?? 0,
      query: async <Row extends object>(sql: string) => (await run(sql)) as Row[],
      queryAll: async (sql) =>
        ((await run(sql)) as unknown[]).filter((rows): rows is Record<string, unknown>[] =>
          Array.isArray(rows),
        ),
      close: () => close(connection),
    };
  } catch (error) {
    await close(connection);
    throw error;
  }
}

export async function withSession<Result>(
  server: ObservedServer,
  work: (session: Session) => Promise<Result>,
): Promise<Result> {
  const session = await openSession(server);
  try {
    return await work(session);
  } finally {
    await session.close();
  }
}

/** Ends within a bounded time, also when the server has stopped answering. */
async function close(connection: Connection): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, 2_000);
  });
  await Promise.race([connection.end().catch(() => {}), deadline]);
  clearTimeout(timer);
  connection.destroy();
}

/** A name, as MariaDB quotes it. */
export function id(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``;
}

/** A string, right in every sql_mode: by its bytes. */
export function literal(text: string): string {
  return text === '' ? "''" : `convert(0x${Buffer.from(text).toString('hex')} using utf8mb4)`;
}
