import type { Database } from './database.ts';
import { routesChannel } from './routes.ts';

/** Ends every link to the environment that was made so far, and every visit that began with one. */
export async function revokeLinks(db: Database, environmentId: string): Promise<void> {
  await db.query(
    `with revoked as (update environments set link_epoch = link_epoch + 1 where id = $1 returning id)
     select pg_notify('${routesChannel}', id::text) from revoked`,
    [environmentId],
  );
}
