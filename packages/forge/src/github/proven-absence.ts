import type { RepositoryRef } from '../forge.ts';
import { ForgeError } from '../forge-error.ts';
import type { GitHubContext } from './context.ts';
import { readRepository } from './read-repository.ts';
import { statusOf } from './to-forge-error.ts';

/**
 * Runs a read and turns 404 into `gone` only when the repository can still be seen: to credentials that lost their
 * access, GitHub says 404 about everything. A repository that has another name by now is read again under it.
 */
export async function provenAbsence<T>(
  context: GitHubContext,
  repository: RepositoryRef,
  read: (named: RepositoryRef) => Promise<T>,
  signal: AbortSignal | undefined,
): Promise<T | 'gone'> {
  try {
    return await read(repository);
  } catch (error) {
    if (statusOf(error) !== 404) throw error;
  }
  const coordinates = { id: repository.id, forgeInstallationId: repository.forgeInstallationId };
  const current = await readRepository(context, coordinates, signal);
  if (current === 'gone') throw hidden(context.host, repository);
  if (current.owner === repository.owner && current.name === repository.name) return 'gone';
  try {
    return await read(current);
  } catch (error) {
    if (statusOf(error) === 404) return 'gone';
    throw error;
  }
}

function hidden(host: string, { owner, name, id }: RepositoryRef): ForgeError {
  return new ForgeError({
    code: 'forge-forbidden',
    message: `${host} does not show us ${owner}/${name} (id ${id}): it was deleted, or our access was taken away.`,
    hint: 'Nothing is removed because of this. Give the App or the token access again, or remove the project.',
  });
}
