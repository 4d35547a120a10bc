import type { RepositoryRef } from '../forge.ts';
import { callRepository } from './call-repository.ts';
import type { GitHubContext } from './context.ts';
import { Anything } from './replies.ts';

/** Asks for a `ping` delivery: the proof that the forge reaches Bough is that it arrives. */
export async function pingWebhook(
  context: GitHubContext,
  repository: RepositoryRef,
  externalId: string,
): Promise<void> {
  await callRepository(context, repository, {
    method: 'POST',
    path: '/hooks/{hook_id}/pings',
    parameters: { hook_id: Number(externalId) },
    reply: Anything,
  });
}
