import type { Reaction, RepositoryRef } from '../forge.ts';
import { callRepository } from './call-repository.ts';
import type { GitHubContext } from './context.ts';
import { WithId } from './replies.ts';
import { statusOf } from './to-forge-error.ts';

/** GitHub keeps one reaction of a kind per account, and answers a second with the first. */
export async function react(
  context: GitHubContext,
  repository: RepositoryRef,
  reaction: { commentId: number; content: Reaction },
  signal?: AbortSignal,
): Promise<'reacted' | 'gone'> {
  try {
    await callRepository(context, repository, {
      method: 'POST',
      path: '/issues/comments/{comment_id}/reactions',
      parameters: { comment_id: reaction.commentId, content: reaction.content },
      reply: WithId,
      signal,
    });
    return 'reacted';
  } catch (error) {
    const status = statusOf(error);
    if (status === 404 || status === 410) return 'gone';
    throw error;
  }
}
