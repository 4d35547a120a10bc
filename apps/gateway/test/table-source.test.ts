import type { RouteTable } from '@bough/domain/route';
import { createPool, type Database } from '@bough/store/database';
import { createTestDatabase } from '@bough/testkit/test-database';
import { waitFor } from '@bough/testkit/wait-for';
import { expect, test } from 'vitest';
import { followRouteTable } from '../src/table-source.ts';
import { quietLog, tableOf } from './bench.ts';

test('reads at once, at each notification, and again after the database has dropped the connection', async () => {
  const database = await createTestDatabase();
  const pool = createPool({ url: database.url, max: 2, applicationName: 'test' });
  const db: Database = pool as unknown as Database;
  const stop = new AbortController();
  const tables: RouteTable[] = [];
  let isDown = false;
  let reads = 0;
  const following = followRouteTable({
    url: database.url,
    read: async () => {
      reads += 1;
      if (isDown) throw new Error('down');
      return tableOf();
    },
    onTable: (table) => tables.push(table),
    log: quietLog,
    signal: stop.signal,
    // Never by itself within this test.
    pollMs: 600_000,
    backoffMs: { first: 20, most: 100 },
  });
  const listeners = async () => {
    const { rows } = await db.query<{ pid: number }>(
      "select pid from pg_stat_activity where datname = current_database() and query = 'listen routes'",
    );
    return rows.map((row) => row.pid);
  };
  try {
    const [pid] = await waitFor('the listener', async () =>
      (await listeners()).length === 1 ? await listeners() : null,
    );
    await waitFor('the first reads', () => tables.length >= 2);
    const before = tables.length;
    await db.query("select pg_notify('routes', '1')");
    await waitFor('the read after the notification', () => tables.length > before);

    isDown = true;
    const kept = tables.length;
    const readsBefore = reads;
    await db.query('select pg_terminate_backend($1)', [pid]);
    await waitFor('another listener', async () => (await listeners()).some((other) => other !== pid));
    await waitFor('a read that fails', () => reads > readsBefore);
    expect(tables.length).toBe(kept);

    isDown = false;
    await db.query("select pg_notify('routes', '1')");
    await waitFor('the table after the failure', () => tables.length > kept);
  } finally {
    stop.abort();
    await following;
    await pool.end();
    await database.drop();
  }
});
