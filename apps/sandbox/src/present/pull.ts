import type { Pull, Repository } from '../state.ts';
import { bareOf, fullName, repositoryById, type World } from '../world.ts';
import { presentRepository, repositoryUrl } from './repository.ts';
import { nodeId, presentUser } from './user.ts';

export function presentLabel(world: World, repository: Repository, name: string) {
  // A label is its name here; a stable number from it stands in for GitHub's id.
  const id = [...name].reduce((sum, letter) => (sum * 31 + (letter.codePointAt(0) ?? 0)) % 1_000_003, 7);
  return {
    id,
    node_id: nodeId('Label', id),
    url: `${repositoryUrl(world, repository)}/labels/${encodeURIComponent(name)}`,
    name,
    color: 'ededed',
    default: false,
    description: '',
  };
}

/** The form of listings. */
export function presentPull(world: World, repository: Repository, pull: Pull) {
  const url = `${repositoryUrl(world, repository)}/pulls/${pull.number}`;
  const issue = `${repositoryUrl(world, repository)}/issues/${pull.number}`;
  const statuses = `${repositoryUrl(world, repository)}/statuses/${pull.headSha}`;
  const page = `${world.url}/${fullName(repository)}/pull/${pull.number}`;
  return {
    url,
    id: pull.id,
    node_id: nodeId('PullRequest', pull.id),
    html_url: page,
    diff_url: `${page}.diff`,
    patch_url: `${page}.patch`,
    issue_url: issue,
    number: pull.number,
    state: pull.state,
    locked: false,
    title: pull.title,
    user: presentUser(world, pull.user),
    body: pull.body,
    created_at: pull.createdAt,
    updated_at: pull.updatedAt,
    closed_at: pull.closedAt,
    merged_at: pull.mergedAt,
    merge_commit_sha: pull.mergeCommitSha,
    assignee: null,
    assignees: [],
    requested_reviewers: [],
    requested_teams: [],
    labels: pull.labels.map((name) => presentLabel(world, repository, name)),
    milestone: null,
    draft: pull.draft,
    commits_url: `${url}/commits`,
    review_comments_url: `${url}/comments`,
    review_comment_url: `${repositoryUrl(world, repository)}/pulls/comments{/number}`,
    comments_url: `${issue}/comments`,
    statuses_url: statuses,
    head: side(world, {
      owner: pull.headOwner,
      ref: pull.headRef,
      sha: pull.headSha,
      repository: repositoryById(world, pull.headRepositoryId),
    }),
    base: side(world, { owner: repository.owner, ref: pull.baseRef, sha: pull.baseSha, repository }),
    _links: {
      self: { href: url },
      html: { href: page },
      issue: { href: issue },
      comments: { href: `${issue}/comments` },
      review_comments: { href: `${url}/comments` },
      review_comment: { href: `${repositoryUrl(world, repository)}/pulls/comments{/number}` },
      commits: { href: `${url}/commits` },
      statuses: { href: statuses },
    },
    author_association: associationOf(repository, pull.user),
    auto_merge: null,
    active_lock_reason: null,
  };
}

function side(
  world: World,
  part: { owner: string; ref: string; sha: string; repository: Repository | undefined },
) {
  return {
    label: `${part.owner}:${part.ref}`,
    ref: part.ref,
    sha: part.sha,
    user: presentUser(world, part.owner),
    repo: part.repository ? presentRepository(world, part.repository) : null,
  };
}

export function associationOf(repository: Repository, login: string): string {
  if (login.toLowerCase() === repository.owner.toLowerCase()) return 'OWNER';
  const permission = repository.permissions[login.toLowerCase()];
  return permission && permission !== 'none' && permission !== 'read' ? 'COLLABORATOR' : 'NONE';
}

/** The form of reading one, and of payloads: with what git has to be asked for. */
export async function presentFullPull(world: World, repository: Repository, pull: Pull) {
  const bare = bareOf(world, repository);
  const from = (await bare.mergeBase(pull.baseSha, pull.headSha)) ?? pull.baseSha;
  const files = await bare.changedFiles(from, pull.headSha);
  const commits = await bare.commitsBetween(from, pull.headSha);
  const mergeable = pull.state === 'open' ? pull.mergeCommitSha !== null : null;
  return {
    ...presentPull(world, repository, pull),
    merged: pull.mergedAt !== null,
    mergeable,
    rebaseable: mergeable,
    mergeable_state: mergeable === null ? 'unknown' : mergeable ? (pull.draft ? 'draft' : 'clean') : 'dirty',
    merged_by: pull.mergedBy ? presentUser(world, pull.mergedBy) : null,
    comments: repository.comments.filter((comment) => comment.issue === pull.number).length,
    review_comments: 0,
    maintainer_can_modify: false,
    commits: commits.length,
    additions: files.reduce((sum, file) => sum + file.additions, 0),
    deletions: files.reduce((sum, file) => sum + file.deletions, 0),
    changed_files: files.length,
  };
}

/** A pull request is also an issue; `issue_comment` payloads and `GET /issues/{n}` show it so. */
export function presentIssue(world: World, repository: Repository, pull: Pull) {
  const plain = presentPull(world, repository, pull);
  const url = plain.issue_url;
  return {
    url,
    repository_url: repositoryUrl(world, repository),
    labels_url: `${url}/labels{/name}`,
    comments_url: `${url}/comments`,
    events_url: `${url}/events`,
    html_url: plain.html_url,
    id: pull.id + 500_000_000,
    node_id: nodeId('Issue', pull.id),
    number: pull.number,
    title: pull.title,
    user: plain.user,
    labels: plain.labels,
    state: pull.state,
    locked: false,
    assignee: null,
    assignees: [],
    milestone: null,
    comments: repository.comments.filter((comment) => comment.issue === pull.number).length,
    created_at: pull.createdAt,
    updated_at: pull.updatedAt,
    closed_at: pull.closedAt,
    author_association: plain.author_association,
    active_lock_reason: null,
    draft: pull.draft,
    pull_request: {
      url: plain.url,
      html_url: plain.html_url,
      diff_url: plain.diff_url,
      patch_url: plain.patch_url,
      merged_at: pull.mergedAt,
    },
    body: pull.body,
    closed_by: null,
    reactions: countReactions(`${url}/reactions`),
    timeline_url: `${url}/timeline`,
    performed_via_github_app: null,
    state_reason: null,
  };
}

const REACTIONS = ['+1', '-1', 'laugh', 'hooray', 'confused', 'heart', 'rocket', 'eyes'];

export function countReactions(url: string, contents: readonly string[] = []) {
  const counts = REACTIONS.map((name) => [name, contents.filter((content) => content === name).length]);
  return { url, total_count: contents.length, ...Object.fromEntries(counts) };
}
