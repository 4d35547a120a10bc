import type { Route, RouteTable } from '@bough/domain/route';

/** Answer of a lookup: a host that nobody has and a path that a known host does not serve are different pages. */
export type Lookup =
  | { readonly kind: 'found'; readonly route: Route }
  | { readonly kind: 'unknown-host' }
  | { readonly kind: 'unknown-path' };

/** A table made ready for lookups. It is built whole and swapped in one assignment, never changed. */
export interface RouteIndex {
  readonly table: RouteTable;
  find(host: string, path: string): Lookup;
}

export function indexRoutes(table: RouteTable): RouteIndex {
  const byHost = new Map<string, Route[]>();
  for (const route of table.routes) {
    const host = route.host.toLowerCase();
    const routes = byHost.get(host);
    if (routes === undefined) byHost.set(host, [route]);
    else routes.push(route);
  }
  for (const routes of byHost.values()) routes.sort((a, b) => b.path.length - a.path.length);

  return {
    table,
    find(host, path) {
      const routes = byHost.get(host);
      if (routes === undefined) return { kind: 'unknown-host' };
      // `/api` belongs to the prefix `/api/`; `/apis` does not.
      const directory = path.endsWith('/') ? path : `${path}/`;
      const route = routes.find((candidate) => directory.startsWith(candidate.path));
      return route === undefined ? { kind: 'unknown-path' } : { kind: 'found', route };
    },
  };
}
