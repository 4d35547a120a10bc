import { z } from 'zod';
import type { Forge, RepositoryRef, WrittenComment } from '../forge.ts';
import { callRepository } from './call-repository.ts';
import type { GitHubContext } from './context.ts';
import { statusOf } from './to-forge-error.ts';

const PER_PAGE = 100;

const CommentReply = z.object({
  id: z.number(),
  html_url: z.string(),
  body: z.string().nullish(),
  user: z.object({ login: z.string(), type: z.string().optional() }).nullish(),
  created_at: z.string(),
  updated_at: z.string(),
});

/** Asked in the order of changes, so that what comes while pages are read is at the end, and nothing moves to a page that was read. */
export async function listComments(
  context: GitHubContext,
  repository: RepositoryRef,
  options: { since?: Date; etag?: string; signal?: AbortSignal } = {},
): ReturnType<Forge['listComments']> {
  try {
    const reply = await callRepository(context, repository, {
      method: 'GET',
      path: '/issues/comments',
      parameters: {
        sort: 'updated',
        direction: 'asc',
        per_page: PER_PAGE,
        ...(options.since === undefined ? {} : { since: wholeSeconds(options.since) }),
      },
      reply: z.array(CommentReply),
      etag: options.etag,
      signal: options.signal,
    });
    return {
      comments: reply.data.map(toComment),
      isMore: reply.next !== undefined,
      ...(reply.etag === undefined ? {} : { etag: reply.etag }),
    };
  } catch (error) {
    if (statusOf(error) === 304) return 'unchanged';
    throw error;
  }
}

export async function newestComment(
  context: GitHubContext,
  repository: RepositoryRef,
  signal?: AbortSignal,
): Promise<WrittenComment | 'none'> {
  const reply = await callRepository(context, repository, {
    method: 'GET',
    path: '/issues/comments',
    parameters: { sort: 'created', direction: 'desc', per_page: 1 },
    reply: z.array(CommentReply),
    signal,
  });
  const [newest] = reply.data;
  return newest === undefined ? 'none' : toComment(newest);
}

/** GitHub lists pull requests among the issues; only the address of the page says which one it is. */
function toComment(reply: z.output<typeof CommentReply>): WrittenComment {
  const number = /\/pull\/(\d+)(?:#|$)/.exec(reply.html_url)?.[1];
  return {
    id: reply.id,
    pullNumber: number === undefined ? null : Number(number),
    body: reply.body ?? '',
    author: reply.user?.login ?? null,
    authorIsBot: reply.user?.type === 'Bot',
    writtenAt: new Date(reply.created_at),
    changedAt: new Date(reply.updated_at),
  };
}

function wholeSeconds(date: Date): string {
  return `${date.toISOString().slice(0, 19)}Z`;
}
