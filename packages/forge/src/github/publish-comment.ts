import { z } from 'zod';
import type { Published, RepositoryRef } from '../forge.ts';
import { callRepository } from './call-repository.ts';
import type { GitHubContext } from './context.ts';
import { type Identity, ownIdentity } from './identity.ts';
import { Anything } from './replies.ts';
import { statusOf } from './to-forge-error.ts';

const CommentReply = z.object({
  id: z.number(),
  html_url: z.string(),
  body: z.string().nullish(),
  user: z.object({ id: z.number() }).nullish(),
  performed_via_github_app: z.object({ id: z.number() }).nullish(),
});
type CommentReply = z.output<typeof CommentReply>;

/** 3,000 comments: ours is written early, so it is nearly always on the first page. */
const PAGES_MAX = 30;

/**
 * One comment per marker: changed by its id; when that is lost or somebody deleted it, found again by the marker among
 * the comments we wrote ourselves (a person may quote the marker); else created. Doubles are removed.
 */
export async function publishComment(
  context: GitHubContext,
  repository: RepositoryRef,
  comment: { number: number; body: string; marker: string; externalId?: string; mayBeDoubled?: boolean },
): Promise<Published> {
  const body = comment.body.includes(comment.marker) ? comment.body : `${comment.body}\n${comment.marker}`;
  if (comment.externalId !== undefined) {
    const updated = await update(context, repository, comment.externalId, body);
    if (updated !== 'gone' && comment.mayBeDoubled)
      await removeOthers(context, repository, comment, updated.externalId);
    if (updated !== 'gone') return updated;
  }
  const [own, ...doubles] = await findOwn(context, repository, comment);
  if (own) {
    const updated = await update(context, repository, String(own.id), body);
    await removeAll(context, repository, doubles);
    if (updated !== 'gone') return updated;
  }
  const { data } = await callRepository(context, repository, {
    method: 'POST',
    path: '/issues/{issue_number}/comments',
    parameters: { issue_number: comment.number, body },
    reply: CommentReply,
  });
  return { externalId: String(data.id), url: data.html_url, outcome: 'created' };
}

async function removeOthers(
  context: GitHubContext,
  repository: RepositoryRef,
  comment: { number: number; marker: string },
  externalId: string,
): Promise<void> {
  const own = await findOwn(context, repository, comment);
  await removeAll(
    context,
    repository,
    own.filter(({ id }) => String(id) !== externalId),
  );
}

const DOUBLES_MAX = 10;

async function removeAll(
  context: GitHubContext,
  repository: RepositoryRef,
  doubles: readonly CommentReply[],
): Promise<void> {
  for (const { id } of doubles.slice(0, DOUBLES_MAX)) await removeComment(context, repository, String(id));
}

/** Removing what is gone succeeds. */
export async function removeComment(
  context: GitHubContext,
  repository: RepositoryRef,
  externalId: string,
): Promise<void> {
  try {
    await callRepository(context, repository, {
      method: 'DELETE',
      path: '/issues/comments/{comment_id}',
      parameters: { comment_id: Number(externalId) },
      reply: Anything,
    });
  } catch (error) {
    if (!isGone(error)) throw error;
  }
}

async function update(
  context: GitHubContext,
  repository: RepositoryRef,
  externalId: string,
  body: string,
): Promise<Published | 'gone'> {
  try {
    const { data } = await callRepository(context, repository, {
      method: 'PATCH',
      path: '/issues/comments/{comment_id}',
      parameters: { comment_id: Number(externalId), body },
      reply: CommentReply,
    });
    return { externalId: String(data.id), url: data.html_url, outcome: 'updated' };
  } catch (error) {
    if (isGone(error)) return 'gone';
    throw error;
  }
}

async function findOwn(
  context: GitHubContext,
  repository: RepositoryRef,
  { number, marker }: { number: number; marker: string },
): Promise<CommentReply[]> {
  const identity = await ownIdentity(context, repository);
  const found: CommentReply[] = [];
  for (let page = 1; page <= PAGES_MAX; page += 1) {
    const { data, next } = await callRepository(context, repository, {
      method: 'GET',
      path: '/issues/{issue_number}/comments',
      parameters: { issue_number: number, per_page: 100, page },
      reply: z.array(CommentReply),
    });
    found.push(...data.filter((reply) => isOwn(reply, identity) && (reply.body ?? '').includes(marker)));
    if (!next) break;
  }
  return found;
}

function isOwn(comment: CommentReply, identity: Identity): boolean {
  if (identity.kind === 'app') return comment.performed_via_github_app?.id === identity.id;
  return identity.kind === 'unknown' || comment.user?.id === identity.id;
}

function isGone(error: unknown): boolean {
  const status = statusOf(error);
  return status === 404 || status === 410;
}
