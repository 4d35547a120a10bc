import type { CommitInfo } from '../git/bare-repository.ts';
import type { Repository } from '../state.ts';
import { bareOf, fullName, type World } from '../world.ts';
import { repositoryUrl } from './repository.ts';
import { nodeId } from './user.ts';

const UNSIGNED = { verified: false, reason: 'unsigned', signature: null, payload: null, verified_at: null };

function utc(time: string): string {
  return new Date(time).toISOString().replace('.000Z', 'Z');
}

export function presentCommit(world: World, repository: Repository, info: CommitInfo) {
  const url = `${repositoryUrl(world, repository)}/commits/${info.sha}`;
  const gitUrl = `${repositoryUrl(world, repository)}/git`;
  const page = `${world.url}/${fullName(repository)}/commit`;
  return {
    sha: info.sha,
    node_id: nodeId('Commit', Number.parseInt(info.sha.slice(0, 8), 16)),
    commit: {
      author: { name: info.authorName, email: info.authorEmail, date: utc(info.authoredAt) },
      committer: { name: info.committerName, email: info.committerEmail, date: utc(info.committedAt) },
      message: info.message,
      tree: { sha: info.tree, url: `${gitUrl}/trees/${info.tree}` },
      url: `${gitUrl}/commits/${info.sha}`,
      comment_count: 0,
      verification: UNSIGNED,
    },
    url,
    html_url: `${page}/${info.sha}`,
    comments_url: `${url}/comments`,
    author: null,
    committer: null,
    parents: info.parents.map((sha) => ({
      sha,
      url: `${repositoryUrl(world, repository)}/commits/${sha}`,
      html_url: `${page}/${sha}`,
    })),
  };
}

/** The short form inside a `push` payload. */
export async function presentPushedCommit(world: World, repository: Repository, sha: string) {
  const bare = bareOf(world, repository);
  const info = await bare.commitInfo(sha);
  const parent = info.parents[0];
  const files = parent ? await bare.changedFiles(parent, sha) : [];
  const pathsOf = (...kinds: string[]) => files.filter((f) => kinds.includes(f.status)).map((f) => f.path);
  return {
    id: sha,
    tree_id: info.tree,
    distinct: true,
    message: info.message,
    timestamp: info.committedAt,
    url: `${world.url}/${fullName(repository)}/commit/${sha}`,
    author: { name: info.authorName, email: info.authorEmail },
    committer: { name: info.committerName, email: info.committerEmail },
    added: pathsOf('added'),
    removed: pathsOf('removed'),
    modified: pathsOf('modified', 'renamed'),
  };
}
