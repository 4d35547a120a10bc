import type { z } from 'zod';
import type { RepositoryRef } from '../forge.ts';
import type { GitHubReply, Route } from './client.ts';
import type { GitHubContext } from './context.ts';

/** A call below `/repos/{owner}/{repo}`, as whoever may act on that repository. */
export async function callRepository<T extends z.ZodType>(
  context: GitHubContext,
  repository: RepositoryRef,
  call: {
    method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
    /** Begins with `/`, with `{placeholders}`. */
    path: string;
    parameters?: Readonly<Record<string, unknown>>;
    reply: T;
    etag?: string | undefined;
    signal?: AbortSignal | undefined;
  },
): Promise<GitHubReply<z.output<T>>> {
  const authorization = await context.credentials.forRepository(repository, call.signal);
  const route: Route = `${call.method} /repos/{owner}/{repo}${call.path}`;
  return context.client.call(
    route,
    { ...call.parameters, owner: repository.owner, repo: repository.name },
    { authorization, reply: call.reply, etag: call.etag, signal: call.signal },
  );
}
