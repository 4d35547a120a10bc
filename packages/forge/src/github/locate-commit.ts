import { z } from 'zod';
import type { RepositoryRef } from '../forge.ts';
import { callRepository } from './call-repository.ts';
import type { GitHubContext } from './context.ts';
import { provenAbsence } from './proven-absence.ts';
import { statusOf } from './to-forge-error.ts';

const CommitReply = z.object({ sha: z.string() });
const CompareReply = z.object({ status: z.enum(['ahead', 'behind', 'diverged', 'identical']) });

export async function locateCommit(
  context: GitHubContext,
  repository: RepositoryRef,
  { id, branch }: { id: string; branch: string },
  signal?: AbortSignal,
): Promise<{ commit: string; isInBranch: boolean } | 'gone'> {
  return await provenAbsence(
    context,
    repository,
    async (named) => {
      const commit = await readCommit(context, named, id, signal);
      // A branch or tag may be called like the beginning of an id.
      if (commit === 'gone' || !commit.startsWith(id)) return 'gone' as const;
      const { data } = await callRepository(context, named, {
        method: 'GET',
        path: '/compare/{basehead}',
        parameters: { basehead: `${branch}...${commit}`, per_page: 1 },
        reply: CompareReply,
        signal,
      });
      return { commit, isInBranch: data.status === 'behind' || data.status === 'identical' };
    },
    signal,
  );
}

/** Of what is no commit GitHub says 422, not 404. */
async function readCommit(
  context: GitHubContext,
  repository: RepositoryRef,
  ref: string,
  signal: AbortSignal | undefined,
): Promise<string | 'gone'> {
  try {
    const call = { method: 'GET', path: '/commits/{ref}', parameters: { ref }, reply: CommitReply } as const;
    return (await callRepository(context, repository, { ...call, signal })).data.sha;
  } catch (error) {
    if (statusOf(error) === 422) return 'gone';
    throw error;
  }
}
