import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import type { Route, RouteTable } from '@bough/domain/route';
import type { Secret } from '@bough/domain/secret';
import { createAccessGuard } from './access.ts';
import { answerOwnPath, enter, ownPrefix, redirect, refuse } from './answers.ts';
import type { Cause } from './cause.ts';
import { type ForwardContext, forward } from './forward.ts';
import type { GatewayLog } from './gateway-log.ts';
import { type GatewayMetrics, noMetrics, type VisitOutcome } from './gateway-metrics.ts';
import { createHolding } from './holding.ts';
import { defaultLimits, type GatewayLimits } from './limits.ts';
import type { LinkEntry } from './link-access.ts';
import { visitorScheme } from './proxy-headers.ts';
import { requestTarget } from './request-target.ts';
import { indexRoutes, type RouteIndex } from './route-index.ts';
import { createTableFile } from './table-file.ts';
import { trustedProxies } from './trusted-proxies.ts';
import type { Visit } from './visit.ts';
import { comesToSee, wantsPage } from './visitor.ts';
import { type Arrival, createVisitorServer } from './visitor-server.ts';
import type { Visits } from './visits.ts';

export interface GatewayOptions {
  /** Where the last table is kept; read here, once. */
  readonly tableFile: string;
  /** Pattern of preview URLs as visitors see them; its scheme is what trusted proxies are assumed to serve. */
  readonly previewUrl?: string | undefined;
  /** Addresses, CIDR networks or `loopback`. */
  readonly trustedProxies: readonly string[];
  readonly limits?: Partial<GatewayLimits> | undefined;
  /** What the worker sends as `x-bough-probe` to look at environments that are closed to the public. */
  readonly probeToken?: Secret | undefined;
  /** Checks signed links. Without it they open nothing. */
  readonly linkKey?: Secret | undefined;
  /** Who is told of visits, and asked to wake what sleeps. Without it nothing wakes. */
  readonly visits?: Visits | undefined;
  readonly log: GatewayLog;
  readonly metrics?: GatewayMetrics | undefined;
}

export interface Gateway {
  readonly server: http.Server;
  /** Replaces the whole table, lets held requests look again, and saves it. */
  setTable(table: RouteTable): void;
  /** Resolves with the port that was bound. */
  listen(port: number, host: string): Promise<{ port: number }>;
  /** Refuses new connections, answers what is held, gives running requests their grace, then cuts. */
  close(): Promise<void>;
}

/** A route that can be proxied to, or why not; or a signed link, whose visitor is sent to the clean address first. */
type Settled =
  | { readonly route: Route; readonly cause: null; readonly entry: LinkEntry | null }
  | { readonly route: Route | null; readonly cause: Cause; readonly entry?: undefined };

/** Below the five seconds after which most Node servers close an idle connection: fewer races for us to lose. */
const pooledIdleMs = 4_000;

export function createGateway(options: GatewayOptions): Gateway {
  const { log } = options;
  const limits: GatewayLimits = { ...defaultLimits, ...options.limits };
  const metrics = options.metrics ?? noMetrics;
  const proxies = trustedProxies(options.trustedProxies);
  const tableFile = createTableFile(options.tableFile, log);
  const holding = createHolding({ limits, onCount: (count) => metrics.held(count) });
  const guard = createAccessGuard({
    probeToken: options.probeToken ?? null,
    linkKey: options.linkKey ?? null,
    failuresPerMinute: limits.passwordFailuresPerMinute,
  });
  const pool = new http.Agent({
    keepAlive: true,
    maxFreeSockets: 64,
    scheduling: 'lifo',
    timeout: pooledIdleMs,
  });
  const closing = new AbortController();

  const saved = tableFile.load();
  let index: RouteIndex | null = saved === null ? null : indexRoutes(saved);
  if (saved !== null)
    log.info({ routes: saved.routes.length, writtenAt: saved.writtenAt }, 'routing table restored');

  const forwarding: ForwardContext = {
    proxies,
    limits,
    pool,
    scheme: options.previewUrl?.startsWith('https:') === true ? 'https' : 'http',
    closing: () => closing.signal.aborted,
  };

  async function serve(request: IncomingMessage, response: ServerResponse, extra: Arrival): Promise<void> {
    const startedAt = performance.now();
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    response.on('error', () => {});
    request.on('error', () => {});
    let outcome: VisitOutcome;
    try {
      outcome = await answer(request, response, { ...extra, gone: gone.signal });
    } catch (error) {
      log.error({ err: error, host: request.headers.host }, 'a request could not be handled');
      outcome = refuse(request, response, 'gateway-error', null);
    }
    metrics.visit(outcome, performance.now() - startedAt);
  }

  async function answer(
    request: IncomingMessage,
    response: ServerResponse,
    extra: Arrival & Pick<Visit, 'gone'>,
  ): Promise<VisitOutcome> {
    if (closing.signal.aborted) response.shouldKeepAlive = false;
    if (request.url?.startsWith(ownPrefix) === true) return answerOwnPath(request, response);
    const target = requestTarget(request);
    if (target === null) return refuse(request, response, 'bad-host', null);
    return await proxy({ request, response, target, ...extra });
  }

  /** Looks the route up and asks for the password. Done again after each wait, since both may have changed. */
  function admit(visit: Visit): Settled {
    if (index === null) return { route: null, cause: 'no-table' };
    const lookup = index.find(visit.target.host, visit.target.path);
    if (lookup.kind !== 'found') return { route: null, cause: lookup.kind };
    const { request, target } = visit;
    const scheme = visitorScheme(request, forwarding);
    const visitor = { request, url: target.url, address: proxies.clientAddress(request), scheme };
    const decision = guard.decide(visitor, lookup.route);
    if (decision.kind === 'granted') return { route: lookup.route, cause: null, entry: null };
    if (decision.kind === 'enter') return { route: lookup.route, cause: null, entry: decision };
    // Who may not come in is not told what state the environment is in.
    return { route: null, cause: decision.kind };
  }

  async function proxy(visit: Visit): Promise<VisitOutcome> {
    const tried = new Set<Cause>();
    for (;;) {
      const { route, cause, entry } = await settle(visit);
      if (visit.gone.aborted) return 'abandoned';
      if (cause !== null) return refuse(visit.request, visit.response, cause, route);
      if (entry) return enter(visit, entry);
      if (route.redirect !== null) return redirect(visit, route, route.redirect);
      if (route.target === null) return refuse(visit.request, visit.response, 'gateway-error', route);

      const leave = comesToSee(visit.request) ? options.visits?.enter(route.environmentId) : undefined;
      const outcome = await forward(visit, route, route.target, forwarding, tried.size > 0);
      if (leave !== undefined && outcome.kind === 'upgraded') visit.upgrade?.socket.once('close', leave);
      else leave?.();
      if (outcome.kind !== 'failed') return outcome.kind;
      if (!outcome.replayable || tried.has(outcome.cause)) {
        const fields = { environmentId: route.environmentId, cause: outcome.cause, err: outcome.error };
        log.warn(fields, 'the app did not answer');
        return refuse(visit.request, visit.response, outcome.cause, route);
      }
      tried.add(outcome.cause);
      // The app may be a moment away from listening, or the table about to name another target.
      if (outcome.cause === 'upstream-refused') await holding.untilChange(limits.refusedRetryMs, visit.gone);
    }
  }

  /** Waits, in a bounded place and for a bounded time, until a release is swapped or an environment has woken. */
  async function settle(visit: Visit): Promise<Settled> {
    const startedAt = performance.now();
    let place: ReturnType<typeof holding.enter> = null;
    try {
      for (;;) {
        const admitted = admit(visit);
        // Nothing is woken for a link: its visitor comes back in a moment, or was a program that only looked at it.
        if (admitted.cause !== null || admitted.entry !== null) return admitted;
        const { route } = admitted;
        if (route.state === 'serving' || route.redirect !== null) return admitted;
        if (route.state === 'starting' || route.state === 'failed') return { route, cause: route.state };
        const wait = waitFor(visit, route);
        if (wait === null) return { route, cause: 'asleep' };
        const deadline = startedAt + wait.ms;
        place ??= holding.enter(route.environmentId);
        if (place === null) return { route, cause: 'too-many-held' };
        if (closing.signal.aborted) return { route, cause: 'gateway-closing' };
        if (performance.now() >= deadline) return { route, cause: wait.cause };
        // A call that was lost, or that came while it was put to sleep, is made again.
        const longest = route.state === 'asleep' ? limits.wakeAgainMs : limits.holdMs;
        await holding.untilChange(Math.min(longest, deadline - performance.now()), visit.gone);
        if (visit.gone.aborted) return admitted;
      }
    } finally {
      place?.leave();
    }
  }

  /** How long this visitor may wait for the route, and what is said afterwards; null: not at all. Wakes what is asleep. */
  function waitFor(visit: Visit, route: Route): { ms: number; cause: Cause } | null {
    if (route.state === 'swapping') return { ms: limits.holdMs, cause: 'swap-timeout' };
    if (route.state !== 'asleep' || options.visits === undefined || !comesToSee(visit.request)) return null;
    options.visits.wake(route.environmentId);
    return { ms: wantsPage(visit.request) ? limits.wakePageMs : limits.holdMs, cause: 'waking' };
  }

  const visitors = createVisitorServer({ limits, metrics, serve });
  return {
    server: visitors.server,
    setTable(table) {
      index = indexRoutes(table);
      holding.release();
      tableFile.save(table);
    },
    listen: visitors.listen,
    async close() {
      closing.abort();
      holding.release();
      await visitors.close();
      pool.destroy();
      await tableFile.flush();
    },
  };
}
