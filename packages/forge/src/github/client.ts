import type { Secret } from '@bough/domain/secret';
import { retry } from '@octokit/plugin-retry';
import { throttling } from '@octokit/plugin-throttling';
import { Octokit } from '@octokit/rest';
import Bottleneck from 'bottleneck';
import type { z } from 'zod';
import { ForgeError } from '../forge-error.ts';
import { boundedFetch } from './bounded-fetch.ts';
import type { GitHubForgeOptions } from './options.ts';
import { toForgeError } from './to-forge-error.ts';

const Client = Octokit.plugin(throttling, retry);

/** Retries after the first attempt, for calls that may be repeated. */
const RETRIES = 2;
/** One client per limiter is kept; an installation that has not been used for long gives way. */
const CLIENTS_MAX = 200;
const REDIRECTS_MAX = 3;
const NEVER_RETRY = [304, 400, 401, 403, 404, 409, 410, 422, 429, 451];

/** Who a call is made as. Calls with the same `limiter` share GitHub's limits, so ours too. */
export interface Authorization {
  readonly header: Secret;
  readonly limiter: string;
}

export interface GitHubReply<T> {
  readonly status: number;
  readonly etag: string | undefined;
  /** The `rel="next"` page, if there is one. */
  readonly next: URL | undefined;
  readonly data: T;
}

export interface GitHubCall<T extends z.ZodType> {
  readonly authorization: Authorization;
  readonly reply: T;
  readonly signal?: AbortSignal | undefined;
  readonly etag?: string | undefined;
}

export type Route = `${'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'} /${string}`;

export interface GitHubClient {
  /** One call. Throws ForgeError; status 404 and the like are found in its cause by `statusOf`. */
  call<T extends z.ZodType>(
    route: Route,
    parameters: Readonly<Record<string, unknown>>,
    options: GitHubCall<T>,
  ): Promise<GitHubReply<z.output<T>>>;
}

/** Octokit with throttling, bounded retries, a timeout for each request, and replies that pass a schema. */
export function createClient(options: GitHubForgeOptions): GitHubClient {
  const make = clientFactory(options);
  const clients = new Map<string, InstanceType<typeof Client>>();

  function clientFor(limiter: string): InstanceType<typeof Client> {
    const client = clients.get(limiter) ?? make(limiter);
    clients.delete(limiter);
    clients.set(limiter, client);
    const oldest = clients.keys().next().value;
    if (clients.size > CLIENTS_MAX && oldest !== undefined) clients.delete(oldest);
    return client;
  }

  return {
    async call(route, parameters, { authorization, reply, signal, etag }) {
      signal?.throwIfAborted();
      const client = clientFor(authorization.limiter);
      const common = {
        headers: {
          authorization: authorization.header.reveal(),
          'x-github-api-version': '2022-11-28',
          ...(etag === undefined ? {} : { 'if-none-match': etag }),
        },
        request: {
          redirect: 'manual' as const,
          ...(signal ? { signal } : {}),
          // What was posted once may have arrived although no answer did; repeating it is the caller's decision.
          ...(route.startsWith('POST ') ? { retries: 0 } : {}),
        },
      };
      const send = async () => {
        let response = await client.request(route, { ...parameters, ...common });
        for (let hop = 0; hop < REDIRECTS_MAX && isRedirect(response.status); hop += 1) {
          const moved = movedRoute(route, response.headers.location, options.apiUrl);
          response = await client.request(moved, { ...withoutPath(route, parameters), ...common });
        }
        return response;
      };
      const response = await withSignal(send(), signal).catch((error: unknown) => {
        signal?.throwIfAborted();
        throw toForgeError(error, { route, parameters, apiUrl: options.apiUrl, now: options.clock ?? clock });
      });
      const parsed = reply.safeParse(response.data);
      if (!parsed.success) throw unexpectedReply(route, options.apiUrl, parsed.error);
      return {
        status: response.status,
        etag: response.headers.etag,
        next: nextPage(response.headers.link),
        data: parsed.data,
      };
    },
  };
}

const clock = (): Date => new Date();

function isRedirect(status: number): boolean {
  return status === 301 || status === 302 || status === 307 || status === 308;
}

/**
 * A renamed repository answers with its address by id. Followed by hand: fetch would turn a redirected POST into a GET,
 * and the credentials must not leave the forge.
 */
function movedRoute(route: Route, location: string | undefined, apiUrl: string): string {
  const base = new URL(apiUrl);
  const target = location === undefined ? undefined : new URL(location, base);
  if (target?.origin === base.origin) return `${route.split(' ', 1)[0]} ${target.origin}${target.pathname}`;
  throw new ForgeError({
    code: 'forge-rejected',
    message: `${base.host} redirects ${route} to ${target?.host ?? 'nowhere'}.`,
    hint: 'Set GITHUB_API_URL to the address that the forge itself uses.',
  });
}

function withoutPath(route: Route, parameters: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(parameters).filter(([name]) => !route.includes(`{${name}}`)));
}

function clientFactory(options: GitHubForgeOptions): (limiter: string) => InstanceType<typeof Client> {
  const spacingMs = options.writeSpacingMs ?? 1000;
  const waitMaxMs = options.rateLimitWaitMaxMs ?? 5000;
  const writes = new Bottleneck.Group({ maxConcurrent: 1, minTime: spacingMs });
  // The plugin's own groups are shared by the whole process and have fixed pauses; its type does not list these.
  const groups = {
    // GitHub takes a hundred at once. A repository about which it answers nothing must leave the others enough.
    global: new Bottleneck.Group({ maxConcurrent: 50 }),
    write: writes,
    notifications: writes,
  };
  const fetch = boundedFetch(options.fetch ?? globalThis.fetch, options.requestTimeoutMs ?? 15_000);
  const limited = (
    afterSeconds: number,
    request: { method: string; url: string },
    _: unknown,
    count: number,
  ) => {
    options.log.warn({ method: request.method, url: request.url, afterSeconds }, 'forge limits our calls');
    return count < RETRIES && afterSeconds * 1000 <= waitMaxMs;
  };
  return (limiter) =>
    new Client({
      baseUrl: options.apiUrl.replace(/\/+$/, ''),
      userAgent: 'bough',
      request: { fetch },
      log: quietLog(options.log),
      retry: { retries: RETRIES, doNotRetry: NEVER_RETRY, retryAfterBaseValue: options.retryPauseMs ?? 1000 },
      throttle: {
        id: limiter,
        ...groups,
        onRateLimit: limited,
        onSecondaryRateLimit: limited,
      },
    });
}

/** Octokit logs each request; that is for debugging. */
function quietLog(log: GitHubForgeOptions['log']) {
  return {
    debug: (message: string) => log.debug({}, message),
    info: (message: string) => log.debug({}, message),
    warn: (message: string) => log.debug({}, message),
    error: (message: string) => log.debug({}, message),
  };
}

/** Ends the wait when the signal fires, also while the call is still queued behind others. */
async function withSignal<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise;
  let onAbort = (): void => undefined;
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
    // The loser of the race may still fail; nobody waits for it any more.
    promise.catch(() => undefined);
  }
}

function nextPage(link: string | undefined): URL | undefined {
  const next = /<([^<>]+)>;\s*rel="next"/.exec(link ?? '')?.[1];
  return next !== undefined && URL.canParse(next) ? new URL(next) : undefined;
}

function unexpectedReply(route: Route, apiUrl: string, error: z.ZodError): ForgeError {
  const issue = error.issues[0];
  const place = issue ? `${issue.path.join('.') || 'the body'}: ${issue.message}` : 'unreadable';
  return new ForgeError({
    code: 'forge-unreachable',
    message: `${new URL(apiUrl).host} answered ${route} with something that is not GitHub's API (${place}).`,
    hint: 'Check GITHUB_API_URL: https://api.github.com, or https://<host>/api/v3 for Enterprise Server, and any proxy in between.',
    retryable: true,
  });
}
