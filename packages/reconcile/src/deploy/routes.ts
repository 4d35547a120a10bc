import { createHash, randomBytes } from 'node:crypto';
import { ACCESS_CREDENTIAL, ACCESS_USERNAME } from '@bough/domain/preview-access';
import type { RouteAccess, RouteState } from '@bough/domain/route';
import { Secret } from '@bough/domain/secret';
import { ensureCredential } from '@bough/store/credentials';
import { transaction } from '@bough/store/database';
import { Interrupted } from '@bough/store/environment-lock';
import { writeRelease } from '@bough/store/environments';
import { type EnvironmentRoute, replaceRoutes, writeRoutes } from '@bough/store/routes';
import type { WebAddresses } from './release.ts';
import type { PlannedRun } from './run.ts';

/** What routes are made of; there need be no deployment yet. */
type Routed = Omit<PlannedRun, 'deployment' | 'trees'> & { readonly deployment?: PlannedRun['deployment'] };

/** The environment's routes as the gateway will see them. `addresses` of the release that is to serve. */
async function routesOf(
  run: Routed,
  state: RouteState,
  addresses: WebAddresses,
): Promise<EnvironmentRoute[]> {
  const access = await accessOf(run);
  return run.plan.common.routes.flatMap((planned) => {
    const resolved = run.plan.overlay.hosts.find((candidate) => candidate.pattern === planned.pattern);
    if (resolved === undefined) return [];
    const target = planned.kind === 'upstream' ? (addresses.get(planned.to) ?? null) : null;
    return [
      {
        host: resolved.host,
        path: resolved.path,
        route: planned.pattern,
        state,
        deploymentId: run.deployment?.id ?? null,
        target,
        redirect:
          planned.kind === 'redirect' ? { to: resolved.redirectTo ?? planned.to, code: 301 as const } : null,
        access,
        indexable: run.environment.kind === 'production',
        isPrimary: planned.primary,
      },
    ];
  });
}

/**
 * Makes the release the one that serves: the row and the gateway's table change in one transaction, and only while
 * nothing newer is wanted.
 */
export async function swapRoutes(run: PlannedRun, addresses: WebAddresses): Promise<void> {
  const routes = await routesOf(run, 'serving', addresses);
  await transaction(run.context.pool, async (db) => {
    if (!(await writeRelease(db, run.lock.fence, run.deployment.id))) throw new Interrupted('superseded');
    await writeRoutes(db, run.environment.id, routes);
  });
}

/** Before the first release there is nothing to serve, but the address already says so honestly. */
export async function announceRoutes(run: Routed, state: 'starting' | 'asleep' | 'failed'): Promise<void> {
  await replaceRoutes(run.context.pool, run.lock.fence, await routesOf(run, state, new Map()));
}

/** Closed by default when cloned data is held (DESIGN §9); the policy's word decides otherwise. */
async function accessOf(run: Routed): Promise<RouteAccess> {
  const { context, environment, policy } = run;
  if (environment.kind === 'production') return { kind: 'open' };
  const word = policy?.previews.access ?? (environment.dataState === 'cloned' ? 'basic' : 'open');
  if (word === 'open') return { kind: 'open' };
  // Whoever reads the route is given the epoch of the environment's row.
  if (word === 'link') return { kind: 'link', epoch: 0 };
  const password = await ensureCredential(
    context.pool,
    context.encryption,
    { environmentId: environment.id, name: ACCESS_CREDENTIAL },
    () => new Secret(randomBytes(16).toString('base64url')),
  );
  run.secrets.add(password);
  return {
    kind: 'basic',
    username: ACCESS_USERNAME,
    passwordHash: createHash('sha256').update(password.reveal()).digest('hex'),
  };
}

/** Address that a person opens: the primary route's. */
export function primaryUrl(run: PlannedRun): string | undefined {
  const primary = run.plan.common.routes.find((route) => route.primary) ?? run.plan.common.routes[0];
  return run.plan.overlay.hosts.find((host) => host.pattern === primary?.pattern)?.url;
}
