import type { Comment, Repository } from '../state.ts';
import { fullName, type World } from '../world.ts';
import { presentApp } from './app.ts';
import { associationOf, countReactions } from './pull.ts';
import { repositoryUrl } from './repository.ts';
import { nodeId, presentUser } from './user.ts';

export function presentComment(world: World, repository: Repository, comment: Comment) {
  const url = `${repositoryUrl(world, repository)}/issues/comments/${comment.id}`;
  return {
    url,
    html_url: `${world.url}/${fullName(repository)}/pull/${comment.issue}#issuecomment-${comment.id}`,
    issue_url: `${repositoryUrl(world, repository)}/issues/${comment.issue}`,
    id: comment.id,
    node_id: nodeId('IssueComment', comment.id),
    user: presentUser(world, comment.user),
    created_at: comment.createdAt,
    updated_at: comment.updatedAt,
    author_association: associationOf(repository, comment.user),
    body: comment.body,
    reactions: countReactions(
      `${url}/reactions`,
      comment.reactions.map((reaction) => reaction.content),
    ),
    performed_via_github_app: comment.appId === null ? null : presentApp(world),
  };
}
