import { z } from 'zod';
import type { RepositoryRef } from '../forge.ts';
import { callRepository } from './call-repository.ts';
import type { GitHubContext } from './context.ts';
import { provenAbsence } from './proven-absence.ts';

const BranchReply = z.object({ name: z.string(), commit: z.object({ sha: z.string() }) });

export async function readBranch(
  context: GitHubContext,
  repository: RepositoryRef,
  branch: string,
  signal?: AbortSignal,
): Promise<{ commit: string } | 'gone'> {
  const found = await provenAbsence(
    context,
    repository,
    async (named) => {
      const { data } = await callRepository(context, named, {
        method: 'GET',
        path: '/branches/{branch}',
        parameters: { branch },
        reply: BranchReply,
        signal,
      });
      return data;
    },
    signal,
  );
  // GitHub redirects from a renamed branch to its new name; the one that was asked for exists no more.
  if (found === 'gone' || found.name !== branch) return 'gone';
  return { commit: found.commit.sha };
}
