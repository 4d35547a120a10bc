import { BoughError } from '@bough/domain/bough-error';
import pg from 'pg';

const CONNECT_MS = 10_000;

/** One connection to Bough's own database. BoughError `database-unreachable`, which never shows the password. */
export async function connectDatabase(
  url: string,
  settings: Pick<pg.ClientConfig, 'application_name' | 'statement_timeout'> = {},
): Promise<pg.Client> {
  const client = new pg.Client({
    ...settings,
    connectionString: url,
    connectionTimeoutMillis: CONNECT_MS,
  });
  // A lost connection fails the query that runs; without a listener it would end the process.
  client.on('error', () => {});
  await client.connect().catch((cause: unknown) => {
    throw unreachable(client, cause);
  });
  return client;
}

function unreachable({ host, port, database, user }: pg.Client, cause: unknown): BoughError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new BoughError({
    code: 'database-unreachable',
    message: `The database "${database ?? ''}" at ${host}:${port} cannot be used as ${user ?? 'nobody'}: ${reason}.`,
    hint: 'Start that Postgres, or correct DATABASE_URL: postgres://user:password@host/name. Without it Bough runs a Postgres of its own.',
    cause,
  });
}
