import type { Secret } from '@bough/domain/secret';
import pg from 'pg';

/** A server that was started for one rehearsal; the login is its superuser's. */
export interface ObservedServer {
  readonly host: string;
  readonly port: number;
  readonly username: string;
  readonly password: Secret;
}

const connectTimeoutMs = 10_000;
/** None of ours asks for more than a look into the catalogue. */
const queryTimeoutMs = 60_000;

/** What we ask must not appear in the log that we read, fire the triggers that we set, or wait for ever. */
const quiet = [
  'log_min_duration_statement=-1',
  'log_statement=none',
  'log_min_error_statement=panic',
  'session_replication_role=replica',
  'row_security=off',
  'search_path=pg_catalog',
];

/** A superuser's connection that leaves no trace in the server's log. The caller ends it. */
export async function connect(
  server: ObservedServer,
  options: { database: string; statementTimeoutMs?: number; settings?: readonly string[] },
): Promise<pg.Client> {
  const settings = [...quiet, ...(options.settings ?? [])];
  const client = new pg.Client({
    host: server.host,
    port: server.port,
    user: server.username,
    password: server.password.reveal(),
    database: options.database,
    connectionTimeoutMillis: connectTimeoutMs,
    statement_timeout: options.statementTimeoutMs ?? queryTimeoutMs,
    query_timeout: (options.statementTimeoutMs ?? queryTimeoutMs) + connectTimeoutMs,
    application_name: 'bough rehearsal',
    options: settings.map((setting) => `-c ${setting}`).join(' '),
    ssl: false,
  });
  // Without a listener a server that goes away takes the whole process down; queries reject on their own.
  client.on('error', () => {});
  try {
    await client.connect();
    return client;
  } catch (error) {
    await disconnect(client);
    throw error;
  }
}

export async function withSession<Result>(
  server: ObservedServer,
  database: string,
  work: (client: pg.Client) => Promise<Result>,
): Promise<Result> {
  const client = await connect(server, { database });
  try {
    return await work(client);
  } finally {
    await disconnect(client);
  }
}

/** Ends within a bounded time, also when the server has stopped answering. */
export async function disconnect(client: pg.Client): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, 2_000);
  });
  await Promise.race([client.end().catch(() => {}), deadline]);
  clearTimeout(timer);
}

/** The process that serves a connection: what the server's log and its table of locks call it. */
export async function backendOf(client: pg.Client): Promise<number> {
  const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
  return rows[0]?.pid ?? 0;
}
