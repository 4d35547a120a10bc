import type { PullRequest, RepositoryRef } from '../forge.ts';
import { ForgeError } from '../forge-error.ts';
import { callRepository } from './call-repository.ts';
import type { GitHubContext } from './context.ts';
import { provenAbsence } from './proven-absence.ts';
import { PullRequestReply, toPullRequest } from './replies.ts';

/** `gone` only when the repository itself could still be read. */
export async function readPullRequest(
  context: GitHubContext,
  repository: RepositoryRef,
  number: number,
  signal?: AbortSignal,
): Promise<PullRequest | 'gone'> {
  const read = async (named: RepositoryRef): Promise<PullRequest> => {
    const { data } = await callRepository(context, named, {
      method: 'GET',
      path: '/pulls/{pull_number}',
      parameters: { pull_number: number },
      reply: PullRequestReply,
      signal,
    });
    return toPullRequest(data);
  };
  const pull = await provenAbsence(context, repository, read, signal);
  if (pull === 'gone' || pull.base.repositoryId === repository.id) return pull;
  throw anotherRepository(context.host, repository);
}

/** Somebody renamed the repository and somebody else made a new one of its old name. */
export function anotherRepository(host: string, { owner, name, id }: RepositoryRef): ForgeError {
  return new ForgeError({
    code: 'forge-rejected',
    message: `${owner}/${name} on ${host} is no longer the repository with the id ${id}.`,
    hint: 'It was renamed or moved and its name was taken; Bough finds it again by its id at the next resync.',
    retryable: true,
  });
}
