import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Route } from '@bough/domain/route';
import type { Cause } from './cause.ts';
import { sendErrorPage } from './error-page.ts';
import type { VisitOutcome } from './gateway-metrics.ts';
import { enterHeaders, type LinkEntry } from './link-access.ts';
import { redirectLocation } from './redirect-location.ts';
import type { Visit } from './visit.ts';

/** Below it the gateway answers by itself: nothing there is ever an app's. */
export const ownPrefix = '/.well-known/bough/';

/** A signed link becomes a cookie, and its visitor goes on to the address without it. */
export function enter({ request, response }: Visit, entry: LinkEntry): VisitOutcome {
  const { status, headers } = enterHeaders(request, entry);
  response.writeHead(status, headers);
  response.end();
  return 'redirected';
}

export function redirect(
  visit: Visit,
  route: Route,
  { to, code }: { to: string; code: number },
): VisitOutcome {
  visit.response.writeHead(code, {
    location: redirectLocation(to, visit.target.url, route.path),
    'content-length': 0,
    'x-bough-environment': route.environmentSlug,
    ...(route.indexable ? {} : { 'x-robots-tag': 'noindex, nofollow' }),
  });
  visit.response.end();
  return 'redirected';
}

export function answerOwnPath(request: IncomingMessage, response: ServerResponse): VisitOutcome {
  const path = request.url?.split('?')[0];
  if (path !== `${ownPrefix}healthz`) return refuse(request, response, 'reserved-path', null);
  response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-store' });
  response.end('ok\n');
  return 'health';
}

export function refuse(
  request: IncomingMessage,
  response: ServerResponse,
  cause: Cause,
  route: Route | null,
): VisitOutcome {
  if (response.destroyed) return 'abandoned';
  if (response.headersSent) response.destroy();
  else sendErrorPage(request, response, cause, route);
  return cause;
}
