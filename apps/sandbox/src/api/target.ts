import type { FastifyRequest } from 'fastify';
import { GithubError } from '../github-error.ts';
import type { Repository } from '../state.ts';
import { repositoryOf, type World } from '../world.ts';
import type { Caller } from './caller.ts';

// What the path, the body and the credentials of a call point at. Bodies were held against GitHub's schema before.

export function param(request: FastifyRequest, name: string): string {
  return (request.params as Record<string, string | undefined>)[name] ?? '';
}

export function numberParam(request: FastifyRequest, name: string): number {
  return Number(param(request, name));
}

export function queryOf(request: FastifyRequest): Record<string, string | undefined> {
  return request.query as Record<string, string | undefined>;
}

export function bodyOf<T>(request: FastifyRequest): T {
  return (request.body ?? {}) as T;
}

export function target(world: World, request: FastifyRequest): Repository {
  return repositoryOf(world, `${param(request, 'owner')}/${param(request, 'repo')}`);
}

/** The account that acts: the App's bot for an installation. The App itself can act on nothing. */
export function actor(request: FastifyRequest): Exclude<Caller, { kind: 'app' }> {
  const { caller } = request;
  if (!caller || caller.kind === 'app') {
    throw new GithubError(401, 'A JSON web token cannot be used here; use an installation access token');
  }
  return caller;
}

export function actingAppId(request: FastifyRequest): number | null {
  return request.caller?.kind === 'installation' ? request.caller.appId : null;
}
