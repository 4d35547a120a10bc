import { createHash } from 'node:crypto';
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
import { falsify, meetFault, spoil } from './meet-fault.ts';
import { pullRoutes } from './pull-routes.ts';
import { RateLimit } from './rate-limit.ts';
import { reportRoutes } from './report-routes.ts';
import { repositoryRoutes } from './repository-routes.ts';

declare module 'fastify' {
  interface FastifyRequest {
    caller?: Caller;
    apiCall?: ApiCall;
    fault?: Fault | undefined;
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
    request.fault = options.faults.takeForCall(call.method, call.path);
    if (request.fault) await meetFault(options.faults, request.fault, request, reply);
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
    return request.fault ? falsify(request.fault, payload) : payload;
  });
  server.addHook('onSend', async (request, reply, payload) => {
    if (request.fault?.disconnect === 'after') request.raw.socket.destroy();
    const honest = withEtag(request, reply, payload);
    const answer = request.fault ? spoil(request.fault, request, reply, honest) : honest;
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
