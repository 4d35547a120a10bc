import type { RepositoryRef } from '../forge.ts';
import { callRepository } from './call-repository.ts';
import type { GitHubContext } from './context.ts';
import { Anything } from './replies.ts';
import { statusOf } from './to-forge-error.ts';

/** Removing what is gone succeeds. */
export async function removeWebhook(
  context: GitHubContext,
  repository: RepositoryRef,
  externalId: string,
): Promise<void> {
  try {
    await callRepository(context, repository, {
      method: 'DELETE',
      path: '/hooks/{hook_id}',
      parameters: { hook_id: Number(externalId) },
      reply: Anything,
    });
  } catch (error) {
    if (statusOf(error) !== 404) throw error;
  }
}
