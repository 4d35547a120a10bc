import pg from 'pg';
import { environment } from './environment.js';

export const pool = new pg.Pool({
  connectionString: environment.databaseUrl,
  max: 8,
  connectionTimeoutMillis: 5_000,
  statement_timeout: 10_000,
  application_name: 'shop',
});

// A connection that breaks while idle is replaced by the pool; without this the process would end.
pool.on('error', (error) => console.error(`database: ${error.message}`));

/** Runs `work` in one transaction. */
export async function transaction(work) {
  const client = await pool.connect();
  try {
    await client.query('begin');
    const result = await work(client);
    await client.query('commit');
    return result;
  } catch (error) {
    await client.query('rollback').catch(() => {});
    throw error;
  } finally {
    client.release();
  }
}
