import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http';
import type { Route } from '@bough/domain/route';
import { withoutAccessCookies } from './link-access.ts';
import type { RequestTarget } from './request-target.ts';
import { peerAddress, type TrustedProxies } from './trusted-proxies.ts';

const hopByHop = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** Lower-cased names to values; repeated headers stay repeated. No prototype, since `__proto__` is a legal name. */
type Headers = Record<string, string[]>;

export interface ForwardingContext {
  readonly proxies: TrustedProxies;
  /** Scheme that visitors use, for trusted proxies that do not say it. */
  readonly scheme: 'http' | 'https';
}

/** What the app gets: end-to-end headers, honest `X-Forwarded-*`, nothing that was meant for the gateway. */
export function requestHeaders(
  request: IncomingMessage,
  target: RequestTarget,
  route: Route,
  context: ForwardingContext,
): OutgoingHttpHeaders {
  const headers = endToEnd(request.rawHeaders);
  const peer = peerAddress(request);
  const trusted = context.proxies.trusts(peer);
  for (const name of Object.keys(headers)) {
    // Many app servers turn `-` and `_` into the same variable, so that `x_forwarded_for` would pass for the real one.
    const canonical = name.replaceAll('_', '-');
    const forwarding = isForwarding(canonical);
    if (canonical.startsWith('x-bough-') || (forwarding && (!trusted || canonical !== name)))
      delete headers[name];
  }
  delete headers.expect;
  // The password is the gateway's business; the app must not get to see or log it.
  if (route.access.kind === 'basic') delete headers.authorization;
  if (headers.cookie !== undefined) {
    const cookies = headers.cookie.flatMap((value) => withoutAccessCookies(value) ?? []);
    if (cookies.length === 0) delete headers.cookie;
    else headers.cookie = cookies;
  }

  const earlier = headers['x-forwarded-for'] ?? [];
  headers['x-forwarded-for'] = [[...earlier, peer].join(', ')];
  headers['x-forwarded-proto'] = [visitorScheme(request, context)];
  headers['x-forwarded-host'] = headers['x-forwarded-host'] ?? [target.hostHeader];
  headers['x-real-ip'] = headers['x-real-ip'] ?? [context.proxies.clientAddress(request)];
  headers.host = [target.hostHeader];
  frameBody(request, headers);
  return flatten(headers);
}

/** What the visitor gets: the app's headers, and which deployment they come from. */
export function responseHeaders(rawHeaders: readonly string[], route: Route): OutgoingHttpHeaders {
  const headers = endToEnd(rawHeaders);
  // Only the gateway speaks in Bough's name: an app cannot claim to be another deployment, or an error page.
  for (const name of Object.keys(headers)) if (name.startsWith('x-bough-')) delete headers[name];
  if (!route.indexable) headers['x-robots-tag'] = ['noindex, nofollow'];
  if (route.deploymentId !== null) headers['x-bough-deployment'] = [route.deploymentId];
  headers['x-bough-environment'] = [route.environmentSlug];
  return flatten(headers);
}

/** True when the request carries a body, even an empty chunked one. */
export function hasBody(request: IncomingMessage): boolean {
  const length = request.headers['content-length'];
  return request.headers['transfer-encoding'] !== undefined || (length !== undefined && length !== '0');
}

function endToEnd(raw: readonly string[]): Headers {
  const headers: Headers = Object.create(null);
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const name = (raw[index] ?? '').toLowerCase();
    const value = raw[index + 1] ?? '';
    const values = headers[name];
    if (values === undefined) headers[name] = [value];
    else values.push(value);
  }
  const named = (headers.connection ?? []).flatMap((value) => value.toLowerCase().split(','));
  for (const name of [...hopByHop, ...named.map((word) => word.trim())]) delete headers[name];
  return headers;
}

function isForwarding(name: string): boolean {
  return name === 'forwarded' || name === 'x-real-ip' || name.startsWith('x-forwarded-');
}

/** How the visitor came: a proxy that is trusted says it, anybody else came to us directly. */
export function visitorScheme(request: IncomingMessage, context: ForwardingContext): 'http' | 'https' {
  if (!context.proxies.trusts(peerAddress(request))) return 'http';
  const [given] = [request.headers['x-forwarded-proto']].flat();
  const value = given?.split(',')[0]?.trim().toLowerCase();
  return value === 'https' || value === 'http' ? value : context.scheme;
}

/** Says the length of the body anew: as announced, chunked when it was, and 0 where Node would otherwise guess. */
function frameBody(request: IncomingMessage, headers: Headers): void {
  const length = request.headers['content-length'];
  if (request.headers['transfer-encoding'] !== undefined) headers['transfer-encoding'] = ['chunked'];
  else if (length !== undefined) headers['content-length'] = [length];
  else if (/^(?:POST|PUT|PATCH)$/.test(request.method ?? '')) headers['content-length'] = ['0'];
}

function flatten(headers: Headers): OutgoingHttpHeaders {
  const flat: OutgoingHttpHeaders = Object.create(null);
  for (const [name, values] of Object.entries(headers)) flat[name] = values.length === 1 ? values[0] : values;
  return flat;
}
