import { BoughError } from '@bough/domain/bough-error';
import type { Route, RouteAccess, RouteState, RouteTable } from '@bough/domain/route';
import type pg from 'pg';
import { type Database, transaction } from './database.ts';
import { HELD, type HeldLease, holdLease, refuseUnheld } from './held-lease.ts';

/** What the gateway serves. Every change is announced on the channel `routes`; the payload is the environment's id. */
export const routesChannel = 'routes';

/** A route as an environment writes it; the rest of what the gateway knows is read from the environment's row. */
export interface EnvironmentRoute {
  readonly host: string;
  readonly path: string;
  readonly deploymentId: string | null;
  /** The route's template in the manifest: `https://{default}/`. */
  readonly route: string;
  readonly state: RouteState;
  readonly target: Route['target'];
  readonly redirect: Route['redirect'];
  readonly access: RouteAccess;
  readonly indexable: boolean;
  readonly isPrimary: boolean;
}

/**
 * Replaces all routes of an environment in one transaction: the gateway sees the old ones or the new ones. BoughError
 * `route-taken` when another environment has one of them; Interrupted, as from the next ones, when the lease is another's.
 */
export async function replaceRoutes(
  pool: pg.Pool,
  held: HeldLease,
  routes: readonly EnvironmentRoute[],
): Promise<void> {
  await transaction(pool, async (db) => {
    await holdLease(db, held);
    await writeRoutes(db, held.environmentId, routes);
  });
}

/** The same inside a transaction of the caller's, who has proved its fence there, together with what must change with it. */
export async function writeRoutes(
  db: Database,
  environmentId: string,
  routes: readonly EnvironmentRoute[],
): Promise<void> {
  await db.query('delete from routes where environment_id = $1', [environmentId]);
  const { rows } = await db.query<{ host: string; path: string }>(
    `insert into routes (host, path, environment_id, deployment_id, route, state, target_host, target_port, redirect_to, redirect_code,
                           access, indexable, is_primary)
       select host, path, $1, "deploymentId", route, state, target->>'host', (target->>'port')::integer,
              redirect->>'to', (redirect->>'code')::integer, access, indexable, "isPrimary"
       from jsonb_to_recordset($2::jsonb) as given (host text, path text, "deploymentId" bigint, route text, state text, target jsonb,
            redirect jsonb, access jsonb, indexable boolean, "isPrimary" boolean)
       on conflict (host, path) do nothing
       returning host, path`,
    [environmentId, JSON.stringify(routes)],
  );
  const taken = routes.find(({ host, path }) => !rows.some((row) => row.host === host && row.path === path));
  if (taken) throw routeTaken(taken);
  await announce(db, environmentId);
}

function routeTaken({ host, path, route }: EnvironmentRoute): BoughError {
  return new BoughError({
    code: 'route-taken',
    message: `Another environment serves ${host}${path} already (route ${route}).`,
    hint: 'Give the route another host or path in the manifest, or remove the other environment.',
  });
}

/** Changes the state of all routes of an environment: hold while swapping, asleep, failed. */
export async function setRouteState(
  db: Database,
  { environmentId, lease }: HeldLease,
  state: RouteState,
): Promise<void> {
  const { rows } = await db.query<{ held: boolean }>(
    `with ${HELD}, changed as (
       update routes set state = $3, updated_at = now()
       where environment_id in (select id from held) and state <> $3 returning environment_id
     )
     select exists (select from held) as held, ${ANNOUNCED}`,
    [environmentId, lease, state],
  );
  refuseUnheld(rows);
}

export async function deleteRoutes(db: Database, { environmentId, lease }: HeldLease): Promise<void> {
  const { rows } = await db.query<{ held: boolean }>(
    `with ${HELD}, changed as (
       delete from routes where environment_id in (select id from held) returning environment_id
     )
     select exists (select from held) as held, ${ANNOUNCED}`,
    [environmentId, lease],
  );
  refuseUnheld(rows);
}

/** Once, and only when something changed. */
const ANNOUNCED = `(
  select pg_notify('${routesChannel}', environment_id::text) from (select distinct environment_id from changed) as one
) as announced`;

async function announce(db: Database, environmentId: string): Promise<void> {
  await db.query(`select pg_notify('${routesChannel}', $1)`, [environmentId]);
}

interface RouteRow extends Omit<EnvironmentRoute, 'target' | 'redirect'> {
  readonly environmentId: string;
  readonly environmentSlug: string;
  readonly projectSlug: string;
  readonly subject: string;
  readonly targetHost: string | null;
  readonly targetPort: number | null;
  readonly redirectTo: string | null;
  readonly redirectCode: 301 | 302 | 307 | 308 | null;
}

const COLUMNS = `r.host, r.path, r.deployment_id::text as "deploymentId", r.route, r.state, r.target_host as "targetHost",
  r.target_port as "targetPort", r.redirect_to as "redirectTo", r.redirect_code as "redirectCode", r.indexable,
  case when r.access->>'kind' = 'link' then r.access || jsonb_build_object('epoch', e.link_epoch) else r.access end as access,
  r.is_primary as "isPrimary", e.id::text as "environmentId", e.slug as "environmentSlug", e.subject, p.slug as "projectSlug"`;

const FROM =
  'from routes r join environments e on e.id = r.environment_id join projects p on p.id = e.project_id';

/** An environment's routes, its primary one first. */
export async function listRoutes(db: Database, environmentId: string): Promise<EnvironmentRoute[]> {
  const { rows } = await db.query<RouteRow>(
    `select ${COLUMNS} ${FROM} where e.id = $1 order by r.is_primary desc, r.host, r.path`,
    [environmentId],
  );
  return rows.map(({ host, path, deploymentId, route, state, access, indexable, isPrimary, ...row }) => ({
    ...{ host, path, deploymentId, route, state, access, indexable, isPrimary },
    target: target(row),
    redirect: redirect(row),
  }));
}

/** The gateway's whole table. `publicUrl` is where people reach Bough's own pages. */
export async function readRouteTable(db: Database, publicUrl: string): Promise<RouteTable> {
  const { rows } = await db.query<RouteRow>(`select ${COLUMNS} ${FROM} order by r.host, r.path`);
  const pages = `${publicUrl.replace(/\/+$/, '')}/environments`;
  return { routes: rows.map((row) => toRoute(row, pages)), writtenAt: new Date().toISOString() };
}

function toRoute(row: RouteRow, pages: string): Route {
  const { host, path, environmentId, environmentSlug, projectSlug, subject } = row;
  const { deploymentId, state, access, indexable } = row;
  return {
    ...{
      host,
      path,
      environmentId,
      environmentSlug,
      projectSlug,
      subject,
      deploymentId,
      state,
      access,
      indexable,
    },
    target: target(row),
    redirect: redirect(row),
    statusUrl: `${pages}/${encodeURIComponent(environmentSlug)}`,
  };
}

function target(row: Pick<RouteRow, 'targetHost' | 'targetPort'>): Route['target'] {
  const { targetHost: host, targetPort: port } = row;
  return host === null || port === null ? null : { host, port };
}

function redirect(row: Pick<RouteRow, 'redirectTo' | 'redirectCode'>): Route['redirect'] {
  const { redirectTo: to, redirectCode: code } = row;
  return to === null || code === null ? null : { to, code };
}
