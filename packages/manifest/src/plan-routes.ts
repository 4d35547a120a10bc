import { BoughError } from '@bough/domain/bough-error';
import { hostLabel, slugify } from '@bough/domain/names';
import type { Manifest, RouteEntry } from './manifest.ts';
import type { PlannedRoute, PlanOverlay } from './plan.ts';

/**
 * The routes that take effect, as templates. `{all}` means `{default}`, one address is one route whatever its scheme
 * (https wins), and a redirect from http to the same address in https is dropped: the gateway's visitors come in one
 * scheme. Without any route the only app that serves, or the first, is the default route. One upstream route is primary.
 */
export function planRoutes(manifest: Pick<Manifest, 'apps' | 'routes'>): PlannedRoute[] {
  const written = manifest.routes.length > 0 ? manifest.routes : defaultRoutes(manifest);
  const byAddress = new Map<string, PlannedRoute>();
  for (const route of [...written].sort(precedence).map(normalised)) {
    const address = addressOf(route.pattern);
    if (route.kind === 'redirect' && addressOf(route.to) === address) continue;
    if (!byAddress.has(address)) byAddress.set(address, route);
  }
  const kept = written.map((route) => byAddress.get(addressOf(normalised(route).pattern)));
  const routes = [...new Set(kept)].filter((route) => route !== undefined);
  const primary = routes.find((route) => route.primary) ?? routes.find((route) => route.kind === 'upstream');
  return routes
    .map((route) => ({ ...route, primary: route === primary, to: canonicalTo(route, routes) }))
    .sort((left, right) => (left.pattern < right.pattern ? -1 : 1));
}

/** Routes for which several are written: the one with `{default}`, then the one in https, then an upstream. */
function precedence(left: RouteEntry, right: RouteEntry): number {
  const rank = (route: RouteEntry) =>
    (route.pattern.includes('{all}') ? 4 : 0) +
    (route.pattern.startsWith('https:') ? 0 : 2) +
    (route.kind === 'upstream' ? 0 : 1);
  return rank(left) - rank(right);
}

function defaultRoutes({ apps }: Pick<Manifest, 'apps'>): RouteEntry[] {
  const app = apps.find((candidate) => (candidate.web?.start ?? null) !== null);
  if (app === undefined) return [];
  return [
    {
      pattern: 'https://{default}/',
      id: null,
      primary: true,
      attributes: {},
      kind: 'upstream',
      to: app.name,
    },
  ];
}

function normalised(route: RouteEntry): PlannedRoute {
  const template = (text: string) => text.replaceAll('{all}', '{default}');
  return {
    ...route,
    pattern: template(route.pattern),
    to: route.kind === 'redirect' ? template(route.to) : route.to,
  };
}

/** A redirect to one of the routes is written exactly as that route's pattern. */
function canonicalTo(route: PlannedRoute, routes: readonly PlannedRoute[]): string {
  if (route.kind === 'upstream') return route.to;
  return routes.find((other) => addressOf(other.pattern) === addressOf(route.to))?.pattern ?? route.to;
}

/** Host and path without the scheme, with a slash at the end. */
function addressOf(url: string): string {
  const address = url.replace(/^https?:\/\//, '').toLowerCase();
  const [host = '', ...path] = address.split('/');
  return `${host.replace(/:(?:80|443)$/, '')}/${path.join('/')}`.replace(/\/*$/, '/');
}

export interface PreviewUrl {
  readonly scheme: string;
  /** `localhost`. */
  readonly suffix: string;
  /** `:8080` or ''. */
  readonly port: string;
}

/** Takes `http://*.localhost:8080` apart. */
function parsePreviewUrl(pattern: string): PreviewUrl {
  const match = /^(https?):\/\/\*\.([A-Za-z0-9.-]+?)(:\d{1,5})?\/?$/.exec(pattern);
  if (match?.[1] !== undefined && match[2] !== undefined) {
    return { scheme: match[1], suffix: match[2].toLowerCase(), port: match[3] ?? '' };
  }
  throw new BoughError({
    code: 'preview-url-malformed',
    message: `"${pattern}" is not a pattern of preview URLs.`,
    hint: 'Write a scheme, "*." and a host, as in http://*.localhost:8080 or https://*.preview.example.com.',
  });
}

export function resolveHosts(
  routes: readonly PlannedRoute[],
  options: { readonly kind: PlanOverlay['kind']; readonly slug: string; readonly previewUrl: string },
): PlanOverlay['hosts'] {
  const previewUrl = parsePreviewUrl(options.previewUrl);
  const taken = new Map<string, string>();
  const hosts = routes.map((route) => {
    const { host, path, url } = resolveAddress(route.pattern, previewUrl, options);
    const other = taken.get(host + path);
    if (other !== undefined) throw clash(other, route.pattern, url);
    taken.set(host + path, route.pattern);
    return { pattern: route.pattern, url, host, path };
  });
  return hosts.map((host, index) => {
    const route = routes[index];
    const redirectTo =
      route?.kind === 'redirect' ? resolveRedirect(route.to, routes, previewUrl, options) : null;
    return { ...host, redirectTo };
  });
}

function clash(first: string, second: string, url: string): BoughError {
  return new BoughError({
    code: 'routes-clash',
    message: `The routes "${first}" and "${second}" are both ${url} here.`,
    hint: 'Rename the host of one of them; hosts are one label deep, so "." and "_" become "-".',
  });
}

/**
 * `{default}` is one label, and what stands before it becomes part of that label: `api.{default}` is
 * `api--pr-7--shop`. An own domain is itself in production and `shop-example-com--pr-7--shop` elsewhere.
 */
function resolveAddress(
  pattern: string,
  previewUrl: PreviewUrl,
  options: { readonly kind: PlanOverlay['kind']; readonly slug: string },
): { host: string; path: string; url: string } {
  const [, scheme = 'https', authority = '', rest = ''] = /^(https?):\/\/([^/]*)(.*)$/.exec(pattern) ?? [];
  const path = rest === '' ? '/' : rest;
  const name = authority.toLowerCase().replace(/:(?:80|443)$/, '');
  const template = /^(?:(.*)\.)?\{default\}$/.exec(name);
  if (template === null && options.kind === 'production')
    return { host: name, path, url: `${scheme}://${name}${path}` };
  const parts =
    template === null
      ? [slugify(name)]
      : (template[1] ?? '')
          .split('.')
          .filter((part) => part !== '')
          .map(slugify);
  const host = `${hostLabel([...parts, options.slug])}.${previewUrl.suffix}`;
  return { host, path, url: `${previewUrl.scheme}://${host}${previewUrl.port}${path}` };
}

/** Addresses of this environment become its own; all others are left as they are. */
function resolveRedirect(
  to: string,
  routes: readonly PlannedRoute[],
  previewUrl: PreviewUrl,
  options: { readonly kind: PlanOverlay['kind']; readonly slug: string },
): string {
  const hostOf = (url: string) => addressOf(url).split('/')[0];
  const ours = to.includes('{default}') || routes.some((route) => hostOf(route.pattern) === hostOf(to));
  return ours ? resolveAddress(to, previewUrl, options).url : to;
}
