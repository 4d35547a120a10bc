import { z } from 'zod';
import type { PullRequest, RepositoryRef } from '../forge.ts';
import { ForgeError } from '../forge-error.ts';
import { callRepository } from './call-repository.ts';
import type { GitHubContext } from './context.ts';
import { anotherRepository } from './read-pull-request.ts';
import { PullRequestReply, toPullRequest } from './replies.ts';
import { statusOf } from './to-forge-error.ts';

const PER_PAGE = 100;
const PAGES_MAX = 100;

/**
 * All open pull requests. An etag vouches for one page only, so it is taken and given only while everything fits on
 * the first; with more than 100 open pull requests each listing is a full one. Pages are read oldest first, so that a
 * pull request opened meanwhile shifts nothing; one closed meanwhile can move another across a border, which is why
 * absence from this list is a reason to look at a pull request, never proof that it is closed.
 */
export async function listOpen(
  context: GitHubContext,
  repository: RepositoryRef,
  options: { etag?: string; signal?: AbortSignal } = {},
): Promise<{ pulls: PullRequest[]; etag?: string } | 'unchanged'> {
  const pulls = new Map<number, PullRequest>();
  let firstEtag: string | undefined;
  for (let page = 1; page <= PAGES_MAX; page += 1) {
    const reply = await readPage(
      context,
      repository,
      page,
      page === 1 ? options.etag : undefined,
      options.signal,
    );
    if (reply === 'unchanged') return 'unchanged';
    for (const data of reply.data) {
      const pull = toPullRequest(data);
      if (pull.base.repositoryId !== repository.id) throw anotherRepository(context.host, repository);
      pulls.set(pull.number, pull);
    }
    if (page === 1) firstEtag = reply.etag;
    if (reply.next) continue;
    const etag = page === 1 && firstEtag !== undefined ? { etag: firstEtag } : {};
    return { pulls: [...pulls.values()], ...etag };
  }
  throw new ForgeError({
    code: 'forge-rejected',
    message: `${repository.owner}/${repository.name} has more than ${PER_PAGE * PAGES_MAX} open pull requests.`,
    hint: 'Bough does not list more. Close those that are abandoned.',
  });
}

async function readPage(
  context: GitHubContext,
  repository: RepositoryRef,
  page: number,
  etag: string | undefined,
  signal: AbortSignal | undefined,
) {
  try {
    return await callRepository(context, repository, {
      method: 'GET',
      path: '/pulls',
      parameters: { state: 'open', sort: 'created', direction: 'asc', per_page: PER_PAGE, page },
      reply: z.array(PullRequestReply),
      etag,
      signal,
    });
  } catch (error) {
    if (statusOf(error) === 304) return 'unchanged';
    throw error;
  }
}
