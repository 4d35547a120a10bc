import { BoughError } from '@bough/domain/bough-error';
import pg from 'pg';

/** A pool, or one client of it inside a transaction: each statement's function takes this as its first argument. */
export interface Database {
  query<Row extends pg.QueryResultRow>(
    text: string,
    values?: readonly unknown[],
  ): Promise<{ rows: Row[]; rowCount: number | null }>;
}

/** bigint columns come back as strings: they are ids and counters, never calculated with here. */
export function createPool(options: { url: string; max: number; applicationName: string }): pg.Pool {
  const pool = new pg.Pool({
    connectionString: options.url,
    max: options.max,
    application_name: options.applicationName,
    connectionTimeoutMillis: 10_000,
    statement_timeout: 30_000,
    keepAlive: true,
  });
  // An idle connection that breaks (Postgres restarted) is replaced at the next query; without a listener it would end the process.
  pool.on('error', () => {});
  return pool;
}

/** Runs `work` in one transaction; rolls back when it throws. */
export async function transaction<Result>(
  pool: pg.Pool,
  work: (db: Database) => Promise<Result>,
): Promise<Result> {
  const client = await pool.connect();
  let broken: Error | undefined;
  try {
    await client.query('begin');
    const result = await work(client as unknown as Database);
    await client.query('commit');
    return result;
  } catch (error) {
    await client.query('rollback').catch((rollbackError: Error) => {
      broken = rollbackError;
    });
    throw error;
  } finally {
    client.release(broken);
  }
}

/** The first row of a statement that always gives one. */
export function only<Row>(rows: readonly Row[]): Row {
  const [row] = rows;
  if (row === undefined) {
    throw new BoughError({
      code: 'store-inconsistent',
      message: 'The store did not give the row that it must have.',
      retryable: true,
    });
  }
  return row;
}
