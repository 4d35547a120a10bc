import type { ParsedDelivery, WrittenComment } from '@bough/forge/forge';
import { insertDelivery, settleDeliveries } from '@bough/store/deliveries';
import { beginComments, type CommentCursor, moveComments, type Project } from '@bough/store/projects';
import { parseCommand } from './command.ts';
import type { Context } from './context.ts';
import { observeKey, repositoryOf } from './observe.ts';

/** A forge with replicas may show a comment after one that was written later: the last minute is read again. */
const OVERLAP_MS = 60_000;

type PollContext = Pick<Context, 'pool' | 'forge' | 'enqueue'>;

/** What is written from now on counts. The forge's own clock and ids decide, never ours. */
export async function beginToReadComments(
  context: Pick<Context, 'pool' | 'forge'>,
  project: Project,
  signal?: AbortSignal,
): Promise<void> {
  const newest = await context.forge(project.forge).newestComment(repositoryOf(project), signal);
  const from = newest === 'none' ? { after: 0, since: null } : { after: newest.id, since: newest.writtenAt };
  await beginComments(context.pool, project.id, from);
}

/**
 * Commands where no webhook reaches us: one conditional request, which costs nothing while nobody comments. A comment with a
 * command becomes the delivery that a webhook would have made, once: its id is the comment's. What follows is the same.
 */
export async function pollComments(
  context: PollContext,
  project: Project,
  signal: AbortSignal,
): Promise<void> {
  const { comments: cursor } = project;
  if (cursor === null) return await beginToReadComments(context, project, signal);
  const { since, etag } = cursor;
  const listing = await context.forge(project.forge).listComments(repositoryOf(project), {
    signal,
    ...(since === null ? {} : { since }),
    ...(etag === null ? {} : { etag }),
  });
  if (listing === 'unchanged') return;
  await deliver(context, project, spokenCommands(listing.comments, cursor));
  const next = nextSince(since, listing);
  const isSame = next?.getTime() === since?.getTime();
  await moveComments(context.pool, project.id, {
    before: since,
    since: next,
    // It vouches for the request that it answered.
    etag: isSame ? (listing.etag ?? null) : null,
  });
}

interface Spoken {
  readonly comment: WrittenComment;
  readonly action: 'created' | 'edited';
  readonly user: string;
  readonly subject: `pull/${number}`;
}

/**
 * Pure: new comments by people on pull requests that hold a command. One that was edited before anybody read it is no command,
 * for nobody can tell what it said when it was written; it is delivered as such, so that its author is told.
 */
function spokenCommands(comments: readonly WrittenComment[], { after }: CommentCursor): Spoken[] {
  return comments.flatMap((comment) => {
    const { id, author, authorIsBot, pullNumber, writtenAt, changedAt, body } = comment;
    if (id <= after) return [];
    if (author === null || authorIsBot || pullNumber === null) return [];
    if (parseCommand(body) === undefined) return [];
    const action = changedAt > writtenAt ? 'edited' : 'created';
    return [{ comment, action, user: author, subject: `pull/${pullNumber}` }];
  });
}

async function deliver(context: PollContext, project: Project, spoken: readonly Spoken[]): Promise<void> {
  const subjects = new Set<string>();
  const ids: string[] = [];
  for (const { comment, action, user, subject } of spoken) {
    const { id: commentId, body } = comment;
    const { owner, name, repositoryId } = project;
    // One for a comment, so that editing what was read already changes nothing.
    const deliveryId = `comment-${repositoryId}-${commentId}`;
    const common = { deliveryId, event: 'issue_comment', action, repositoryId };
    const payload: ParsedDelivery = {
      ...common,
      ...{ kind: 'comment', owner, name, subject, body, user, commentId },
    };
    const delivery = { ...common, forge: project.forge, subjects: [subject], payload };
    const id = await insertDelivery(context.pool, delivery);
    if (id === undefined) continue;
    ids.push(id);
    subjects.add(subject);
  }
  // Those that are not queued for want of a queue are found by resync.
  for (const subject of subjects) await context.enqueue('observe', observeKey(project.id, subject));
  await settleDeliveries(context.pool, ids, { fate: 'queued' });
}

/**
 * Pure. While there is more, the next request begins where this answer ended, and at least a second later: more than 100
 * comments of one second would be read for ever, and no forge lets so many be written.
 */
function nextSince(
  since: Date | null,
  { comments, isMore }: { comments: readonly WrittenComment[]; isMore: boolean },
): Date | null {
  const reached = comments.at(-1)?.changedAt.getTime();
  if (reached === undefined) return since;
  const before = since?.getTime() ?? 0;
  return new Date(isMore ? Math.max(reached, before + 1_000) : Math.max(reached - OVERLAP_MS, before));
}
