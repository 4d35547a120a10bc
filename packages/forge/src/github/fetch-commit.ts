import type { RepositoryRef } from '../forge.ts';
import { ForgeError } from '../forge-error.ts';
import { accessByToken } from '../git/git-access.ts';
import { fetchIntoMirror } from '../git/mirror.ts';
import type { GitHubContext } from './context.ts';
import { readRepository } from './read-repository.ts';

export const FETCH_TIMEOUT_MS = 10 * 60_000;

/** Fetches with a credential for this repository alone. A repository that was renamed is looked up by its id once. */
export async function fetchCommit(
  context: GitHubContext,
  repository: RepositoryRef,
  options: { mirror: string; commit: string; signal?: AbortSignal },
): Promise<void> {
  try {
    await fetchNamed(context, repository, options);
  } catch (error) {
    if (!(error instanceof ForgeError) || error.code !== 'forge-rejected') throw error;
    const coordinates = { id: repository.id, forgeInstallationId: repository.forgeInstallationId };
    const current = await readRepository(context, coordinates, options.signal);
    if (current === 'gone') throw error;
    if (current.owner === repository.owner && current.name === repository.name) throw error;
    await fetchNamed(context, current, options);
  }
}

async function fetchNamed(
  context: GitHubContext,
  repository: RepositoryRef,
  { mirror, commit, signal }: { mirror: string; commit: string; signal?: AbortSignal },
): Promise<void> {
  const url = context.cloneUrlFor(repository);
  await fetchIntoMirror({
    git: context.options.gitCommand,
    mirror,
    url,
    commit,
    access: async () =>
      accessByToken(url, await context.credentials.forGit(repository, 'repository', signal)),
    timeoutMs: context.options.fetchTimeoutMs ?? FETCH_TIMEOUT_MS,
    signal,
  });
}
