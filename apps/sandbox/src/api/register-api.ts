import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { validateAnswer } from '@bough/forge/github/schema/validate-answer';
import { validateCall } from '@bough/forge/github/schema/validate-call';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Fault, Faults } from '../faults.ts';
import { GithubError, notFound } from '../github-error.ts';
import { findFormerRepository, findRepository, fullName, type World } from '../world.ts';
import { type ApiCall, recordCall } from './api-call.ts';
import { appRoutes } from './app-routes.ts';
import { authenticate, type Caller, type Credentials } from './caller.ts';
import { commentRoutes } from './comment-routes.ts';
import { gitRoutes } from './git-routes.ts';
import { hookRoutes } from './hook-routes.ts';
import { pullRoutes } from './pull-routes.ts';
import { RateLimit } from './rate-limit.ts';
import { reportRoutes } from './report-routes.ts';
import { repositoryRoutes } from './repository-routes.ts';

declare module 'fastify' {
  interface FastifyRequest {
    caller?: Caller;
    apiCall?: ApiCall;
    fault?: Fault;
  }
}

export interface ApiOptions {
  world: World;
  credentials: Credentials;
  faults: Faults;
  calls: ApiCall[];
}

export const API_PREFIX = '/api/v3';

/** The REST API. Every call is recorded, held against GitHub's schema, authenticated and counted, in that order. */
export async function registerApi(server: FastifyInstance, options: ApiOptions): Promise<void> {
  const { world } = options;
  const rateLimit = new RateLimit();
  server.addHook('preHandler', async (request, reply) => {
    const call = startCall(options, request);
    request.apiCall = call;
    await meetFault(options.faults, request, reply, call);
    if (reply.sent) return reply;
    const caller = authenticate(world, options.credentials, request.headers.authorization);
    if (!caller) throw unauthorized(request);
    request.caller = caller;
    call.caller = caller.kind;
    const moved = findMoved(world, request);
    if (moved) return reply.code(301).header('location', moved).send(movedBody(moved));
    refuseInvalid(call);
    return undefined;
  });
  server.addHook('preSerialization', async (request, reply, payload) => {
    const call = request.apiCall;
    if (call?.operation && !request.fault) {
      call.answerProblems = validateAnswer({
        operationId: call.operation,
        status: reply.statusCode,
        body: payload,
      });
    }
    return payload;
  });
  server.addHook('onSend', async (request, reply, payload) => {
    if (request.fault?.disconnect === 'after') request.raw.socket.destroy();
    const answer = withEtag(request, reply, payload);
    rateLimit.count(reply.statusCode !== 304);
    for (const [name, value] of Object.entries(rateLimit.headers())) {
      if (!reply.hasHeader(name)) reply.header(name, value);
    }
    reply
      .header('x-github-media-type', 'github.v3; format=json')
      .header('x-github-api-version-selected', '2022-11-28');
    if (request.apiCall) request.apiCall.status = reply.statusCode;
    return answer;
  });
  server.get('/rate_limit', async () => rateLimit.overview());
  appRoutes(server, world);
  repositoryRoutes(server, world);
  hookRoutes(server, world);
  pullRoutes(server, world);
  gitRoutes(server, world);
  commentRoutes(server, world);
  reportRoutes(server, world);
  server.all('/*', async () => {
    throw notFound();
  });
}

function startCall(options: ApiOptions, request: FastifyRequest): ApiCall {
  const path = new URL(request.originalUrl, 'http://sandbox').pathname.slice(API_PREFIX.length);
  const query = request.query as Record<string, unknown>;
  const body = request.body ?? undefined;
  const result = validateCall({ method: request.method, path, query, body });
  const call: ApiCall = {
    time: new Date().toISOString(),
    method: request.method,
    path,
    query,
    body,
    operation: result.operationId ?? null,
    status: 0,
    caller: null,
    problems: result.problems ?? [],
    ignored: result.problems ? [] : result.ignored,
    answerProblems: [],
  };
  recordCall(options.calls, call);
  return call;
}

async function meetFault(
  faults: Faults,
  request: FastifyRequest,
  reply: FastifyReply,
  call: ApiCall,
): Promise<void> {
  const fault = faults.takeForCall(call.method, call.path);
  if (!fault) return;
  request.fault = fault;
  if (fault.delayMs) await delay(fault.delayMs);
  if (fault.disconnect === 'before') {
    reply.hijack();
    request.raw.socket.destroy();
  } else if (fault.primaryLimitResetS !== undefined) {
    const reset = Math.floor(Date.now() / 1000) + fault.primaryLimitResetS;
    throw new GithubError(403, fault.message ?? 'API rate limit exceeded for user ID 1001.', {
      headers: { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': String(reset) },
    });
  } else if (fault.status !== undefined) {
    const limited = fault.retryAfter !== undefined;
    const message = limited
      ? 'You have exceeded a secondary rate limit. Please wait a few minutes before you try again.'
      : STATUS_WORDS[fault.status];
    throw new GithubError(fault.status, fault.message ?? message ?? 'Server Error', {
      headers: limited ? { 'retry-after': String(fault.retryAfter) } : {},
    });
  }
}

const STATUS_WORDS: Record<number, string> = {
  401: 'Bad credentials',
  403: 'Resource not accessible by integration',
  404: 'Not Found',
  409: 'Conflict',
  410: 'Gone',
  422: 'Validation Failed',
};

function unauthorized(request: FastifyRequest): GithubError {
  return new GithubError(401, request.headers.authorization ? 'Bad credentials' : 'Requires authentication');
}

/** A repository's former name redirects to the form by id, the rest of the path kept. */
function findMoved(world: World, request: FastifyRequest): string | undefined {
  const { owner, repo } = request.params as { owner?: string; repo?: string };
  if (!owner || !repo) return undefined;
  const name = `${owner}/${repo}`;
  if (findRepository(world, name)) return undefined;
  const moved = findFormerRepository(world, name);
  if (!moved) throw notFound();
  const rest = request.originalUrl.slice(`${API_PREFIX}/repos/${name}`.length);
  return `${world.apiUrl}/repositories/${moved.id}${rest}`;
}

function movedBody(url: string) {
  return { message: 'Moved Permanently', url, documentation_url: 'https://docs.github.com/rest' };
}

function refuseInvalid(call: ApiCall): void {
  if (call.operation === null || call.problems.length === 0) return;
  const message = `Invalid request.\n\n${call.problems.join('\n')}`;
  throw new GithubError(422, message, { errors: call.problems });
}

function withEtag(request: FastifyRequest, reply: FastifyReply, payload: unknown): unknown {
  if (request.method !== 'GET' || reply.statusCode !== 200 || typeof payload !== 'string') return payload;
  const etag = `W/"${createHash('sha256')
    .update(payload)
    .update(String(reply.getHeader('link') ?? ''))
    .digest('hex')}"`;
  reply.header('etag', etag).header('cache-control', 'private, max-age=60, s-maxage=60');
  const offered = String(request.headers['if-none-match'] ?? '').split(/,\s*/);
  if (!offered.includes(etag) && !offered.includes(etag.slice(2))) return payload;
  reply.code(304).removeHeader('content-type');
  return null;
}

/** `/repositories/{id}/…` is the same resource as `/repos/{owner}/{repo}/…`. */
export function rewriteUrl(world: World, url: string): string {
  const match = /^\/api\/v3\/repositories\/(\d+)(.*)$/.exec(url);
  const repository = match && world.state.repositories.find((candidate) => candidate.id === Number(match[1]));
  return repository ? `${API_PREFIX}/repos/${fullName(repository)}${match[2]}` : url;
}
