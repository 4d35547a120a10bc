import { z } from 'zod';
import type { PullRequest, Repository } from '../forge.ts';

/** What is used of GitHub's replies, and nothing else. */

export const Anything = z.unknown();
export const WithId = z.object({ id: z.number() });

export const RepositoryReply = z.object({
  id: z.number(),
  name: z.string(),
  owner: z.object({ login: z.string() }),
  default_branch: z.string(),
  archived: z.boolean().default(false),
  private: z.boolean(),
  html_url: z.string(),
});

export function toRepository(reply: z.output<typeof RepositoryReply>): Repository {
  return {
    id: reply.id,
    owner: reply.owner.login,
    name: reply.name,
    defaultBranch: reply.default_branch,
    archived: reply.archived,
    private: reply.private,
    url: reply.html_url,
  };
}

export const PullRequestReply = z.object({
  number: z.number().int().positive(),
  state: z.enum(['open', 'closed']),
  merged_at: z.string().nullish(),
  merge_commit_sha: z.string().nullish(),
  title: z.string(),
  user: z.object({ login: z.string(), type: z.string().optional() }).nullish(),
  html_url: z.string(),
  draft: z.boolean().nullish(),
  labels: z.array(z.object({ name: z.string().nullish() })).default([]),
  head: z.object({
    ref: z.string(),
    sha: z.string(),
    repo: z.object({ id: z.number() }).nullish(),
  }),
  base: z.object({ ref: z.string(), sha: z.string(), repo: z.object({ id: z.number() }) }),
  updated_at: z.string(),
});

export function toPullRequest(reply: z.output<typeof PullRequestReply>): PullRequest {
  // On an open pull request this commit is GitHub's trial merge, which no branch ever gets.
  const merged = typeof reply.merged_at === 'string';
  return {
    number: reply.number,
    state: reply.state,
    merged,
    ...(merged && typeof reply.merge_commit_sha === 'string' ? { mergeCommit: reply.merge_commit_sha } : {}),
    title: reply.title,
    // GitHub shows the account of a deleted user as "ghost".
    author: reply.user?.login ?? 'ghost',
    authorIsBot: reply.user?.type === 'Bot',
    url: reply.html_url,
    draft: reply.draft ?? false,
    labels: reply.labels.flatMap(({ name }) => (typeof name === 'string' ? [name] : [])),
    head: { branch: reply.head.ref, commit: reply.head.sha, repositoryId: reply.head.repo?.id ?? null },
    base: { branch: reply.base.ref, commit: reply.base.sha, repositoryId: reply.base.repo.id },
    updatedAt: new Date(reply.updated_at),
  };
}
