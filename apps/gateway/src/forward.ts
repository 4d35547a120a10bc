import http, { type IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { pipeline } from 'node:stream';
import type { Route } from '@bough/domain/route';
import { joinSockets } from './join-sockets.ts';
import type { GatewayLimits } from './limits.ts';
import { type ForwardingContext, hasBody, requestHeaders, responseHeaders } from './proxy-headers.ts';
import type { ForwardOutcome, Visit } from './visit.ts';

export interface ForwardContext extends ForwardingContext {
  readonly limits: GatewayLimits;
  readonly pool: http.Agent;
  /** True once the gateway is closing: visitors are told not to keep their connection. */
  readonly closing: () => boolean;
}

const safeMethods = new Set(['GET', 'HEAD', 'OPTIONS']);
const refusals = new Set(['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'ENOTFOUND', 'EAI_AGAIN', 'ENOENT']);

/**
 * Sends one visit to the route's target and streams both ways, backpressure included. Never rejects.
 *
 * A pooled connection may be closed by the app in the moment it is used again, which cannot be told from a crash. So only requests
 * without a body that may be repeated use the pool; the others pay a connect, and are sent exactly once.
 */
export function forward(
  visit: Visit,
  route: Route,
  address: { readonly host: string; readonly port: number },
  context: ForwardContext,
  fresh: boolean,
): Promise<ForwardOutcome> {
  const { request, response } = visit;
  const { limits } = context;
  const bodied = visit.upgrade === null && hasBody(request);
  const pooled = !fresh && !bodied && visit.upgrade === null && safeMethods.has(request.method ?? '');

  return new Promise((resolve) => {
    let settled = false;
    let connected = false;
    let answered = false;
    let timedOut: 'connect' | 'answer' | null = null;

    const headers = requestHeaders(request, visit.target, route, context);
    if (visit.upgrade !== null) {
      headers.connection = 'Upgrade';
      headers.upgrade = request.headers.upgrade;
    }
    // `close` would let the app hang up on an upload that it answers early (413), and the reset would eat the answer.
    else headers.connection = 'keep-alive';
    const upstream = http.request({
      host: address.host,
      port: address.port,
      method: request.method,
      path: visit.target.url,
      headers,
      agent: pooled ? context.pool : false,
      setHost: false,
    });
    const connecting = setTimeout(() => abort('connect'), limits.connectMs);

    function settle(outcome: ForwardOutcome): void {
      if (settled) return;
      settled = true;
      clearTimeout(connecting);
      response.removeListener('close', onVisitorGone);
      resolve(outcome);
    }

    function abort(reason: 'connect' | 'answer'): void {
      timedOut = reason;
      upstream.destroy();
    }

    function onVisitorGone(): void {
      if (response.writableFinished) return;
      upstream.destroy();
      settle({ kind: 'abandoned' });
    }

    function fail(error: Error & { code?: string }): void {
      request.unpipe(upstream);
      if (answered) return;
      const cause = causeOf(error, {
        connected,
        timedOut,
        bodyMissing: !request.complete && !upstream.writableNeedDrain,
      });
      const untouched = !connected || (pooled && cause === 'upstream-reset');
      settle({ kind: 'failed', cause, replayable: untouched && timedOut === null, error });
    }

    function answer(incoming: IncomingMessage): void {
      answered = true;
      upstream.setTimeout(limits.idleMs, () => incoming.destroy(new Error('idle')));
      try {
        const fields = responseHeaders(incoming.rawHeaders, route);
        if (context.closing()) fields.connection = 'close';
        response.writeHead(incoming.statusCode ?? 502, printable(incoming.statusMessage), fields);
      } catch (error) {
        answered = false;
        incoming.destroy();
        fail(
          Object.assign(error instanceof Error ? error : new Error(String(error)), { code: 'HPE_INVALID' }),
        );
        return;
      }
      // An event stream may have nothing to say for minutes: its headers must not wait for the first byte. One turn
      // later, small answers have sent headers and body in one packet.
      setImmediate(() => response.destroyed || response.flushHeaders());
      // When the app hangs up half-way, pipeline destroys the response: the visitor sees a broken connection, never
      // a short answer that looks whole.
      pipeline(incoming, response, (error) => {
        request.unpipe(upstream);
        if (!upstream.writableFinished) upstream.destroy();
        settle({ kind: error ? 'cut' : 'proxied' });
      });
    }

    function switchProtocols(incoming: IncomingMessage, app: Duplex, appHead: Buffer): void {
      answered = true;
      if (visit.upgrade === null) {
        app.destroy();
        answered = false;
        fail(Object.assign(new Error('unasked upgrade'), { code: 'HPE_INVALID' }));
        return;
      }
      const fields = responseHeaders(incoming.rawHeaders, route);
      joinSockets({
        visitor: visit.upgrade,
        app: { socket: app, head: appHead },
        response,
        fields,
        incoming,
        idleMs: limits.webSocketIdleMs,
      });
      settle({ kind: 'upgraded' });
    }

    function sendBody(): void {
      connected = true;
      clearTimeout(connecting);
      upstream.setTimeout(limits.upstreamMs, () => abort('answer'));
      if (bodied && visit.expectsContinue) response.writeContinue();
      if (bodied) request.pipe(upstream);
      else upstream.end();
    }

    response.once('close', onVisitorGone);
    upstream.once('error', fail);
    upstream.on('error', () => {});
    upstream.once('response', answer);
    upstream.once('upgrade', switchProtocols);
    upstream.once('close', () =>
      fail(Object.assign(new Error('closed without an answer'), { code: 'ECONNRESET' })),
    );
    upstream.once('socket', (socket) => {
      if (socket.connecting) socket.once('connect', sendBody);
      else sendBody();
    });
    if (visit.gone.aborted) onVisitorGone();
  });
}

function causeOf(
  error: Error & { code?: string },
  at: { connected: boolean; timedOut: 'connect' | 'answer' | null; bodyMissing: boolean },
): Extract<ForwardOutcome, { kind: 'failed' }>['cause'] {
  if (at.timedOut === 'answer') return at.bodyMissing ? 'client-timeout' : 'upstream-timeout';
  if (at.timedOut === 'connect' || !at.connected || refusals.has(error.code ?? '')) return 'upstream-refused';
  return error.code?.startsWith('HPE_') === true ? 'upstream-not-http' : 'upstream-reset';
}

function printable(statusMessage: string | undefined): string {
  return /^[\x20-\x7e]*$/.test(statusMessage ?? '') ? (statusMessage ?? '') : '';
}
