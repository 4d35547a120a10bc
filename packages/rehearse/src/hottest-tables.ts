import { listDatabases } from './list-databases.ts';
import { connect, disconnect, type ObservedServer } from './session.ts';

const shown = 20;
const timeoutMs = 3_000;

/** `schema.table` of those that a running server was asked for most since its counters began. Reads counters, no rows. */
export async function hottestTables(server: ObservedServer): Promise<string[]> {
  const found: { name: string; uses: number }[] = [];
  for (const database of await listDatabases(server, 'main')) {
    const client = await connect(server, { database, statementTimeoutMs: timeoutMs });
    try {
      const { rows } = await client.query<{ name: string; uses: number }>(
        `select schemaname || '.' || relname as name,
           (coalesce(seq_scan, 0) + coalesce(idx_scan, 0) + n_tup_ins + n_tup_upd + n_tup_del)::float8 as uses
         from pg_stat_user_tables order by uses desc limit ${shown}`,
      );
      found.push(...rows);
    } finally {
      await disconnect(client);
    }
  }
  return found
    .sort((a, b) => b.uses - a.uses)
    .slice(0, shown)
    .map(({ name }) => name);
}
