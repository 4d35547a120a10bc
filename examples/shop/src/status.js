import { pool } from './database.js';
import { environment } from './environment.js';
import { waiting } from './queue.js';
import { listReceipts } from './receipts.js';
import { release } from './release.js';

/** What serves and what it sees; the page shows it, tests read it at /api/status. */
export async function readStatus(redis) {
  const [counts, migrations, receipts, queued] = await Promise.all([
    pool.query(
      `select (select count(*) from customers)::int as customers, (select count(*) from products)::int as products,
              (select count(*) from orders)::int as orders, (select count(*) from order_lines)::int as order_lines,
              current_setting('server_version') as postgresql`,
    ),
    pool.query('select name from migrations order by id'),
    listReceipts(),
    waiting(redis).catch(() => null),
  ]);
  const { postgresql, ...rowCounts } = counts.rows[0];
  return {
    commit: environment.commit,
    environment: environment.name,
    environmentKind: environment.kind,
    branch: environment.branch,
    deployment: environment.deployment,
    release: release.version,
    rowCounts,
    receipts: receipts.count,
    queued,
    migrations: migrations.rows.map((row) => row.name),
    versions: { node: process.versions.node, postgresql },
  };
}
