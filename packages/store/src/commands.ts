import type pg from 'pg';
import { type Database, only, transaction } from './database.ts';
import { insertRequest, type RequestKind } from './requests.ts';

/** A command that somebody wrote in a comment, and what was decided about it. */
export interface Command {
  readonly id: string;
  readonly projectId: string;
  readonly subject: string;
  /** The forge's id of the comment. */
  readonly commentId: number;
  readonly askedBy: string;
  /** As it was written: `/bough redeploy`. */
  readonly command: string;
  /** accepted: it is done. unknown: allowed, but there is no such command. declined: not for this person, or too late. */
  readonly verdict: 'accepted' | 'unknown' | 'declined';
  readonly reason: string | null;
  readonly requestId: string | null;
  /** In our words and Markdown's code spans, one paragraph or list item per line. */
  readonly answer: string | null;
  readonly askedAt: Date;
}

interface CommandRow extends Omit<Command, 'commentId'> {
  readonly commentId: string;
}

const COLUMNS = `c.id::text, c.project_id::text as "projectId", c.subject, c.comment_id::text as "commentId", c.asked_by as "askedBy",
  c.command, c.verdict, c.reason, c.request_id::text as "requestId", c.answer, c.asked_at as "askedAt"`;

function toCommand(row: CommandRow): Command {
  return { ...row, commentId: Number(row.commentId) };
}

export interface NewCommand {
  readonly projectId: string;
  readonly subject: string;
  readonly commentId: number;
  readonly askedBy: string;
  readonly command: string;
  readonly verdict: Command['verdict'];
  readonly reason: string | null;
  /** The request that it makes, if it makes one. */
  readonly request: RequestKind | null;
  /** What stood behind the word; it becomes the request's. */
  readonly argument?: string | null;
  readonly answer: string | null;
}

/**
 * Writes a command with its request, in one transaction. Of two writers of one comment the second waits for the first,
 * makes no request, and gets what the first decided.
 */
export async function insertCommand(pool: pg.Pool, command: NewCommand): Promise<Command> {
  return await transaction(pool, async (db) => {
    const { rows } = await db.query<CommandRow>(
      `insert into commands as c (project_id, subject, comment_id, asked_by, command, verdict, reason, answer)
       values ($1, $2, $3, $4, $5, $6, $7, $8)
       on conflict (project_id, comment_id) do nothing returning ${COLUMNS}`,
      [
        command.projectId,
        command.subject,
        command.commentId,
        command.askedBy,
        command.command,
        command.verdict,
        command.reason,
        command.answer,
      ],
    );
    const [made] = rows;
    if (made === undefined) {
      const known = await findCommand(db, command);
      return only(known === undefined ? [] : [known]);
    }
    if (command.request === null) return toCommand(made);
    const { id } = await insertRequest(db, {
      ...command,
      kind: command.request,
      argument: command.argument ?? null,
    });
    await db.query('update commands set request_id = $2 where id = $1', [made.id, id]);
    return { ...toCommand(made), requestId: id };
  });
}

export async function findCommand(
  db: Database,
  of: { projectId: string; commentId: number },
): Promise<Command | undefined> {
  const { rows } = await db.query<CommandRow>(
    `select ${COLUMNS} from commands c where project_id = $1 and comment_id = $2`,
    [of.projectId, of.commentId],
  );
  return rows[0] && toCommand(rows[0]);
}

/** The newest command that made a request: one in an earlier comment, delivered later, must not undo it. */
export async function lastRequestingCommand(
  db: Database,
  of: { projectId: string; subject: string },
): Promise<Command | undefined> {
  const { rows } = await db.query<CommandRow>(
    `select ${COLUMNS} from commands c where project_id = $1 and subject = $2 and request_id is not null
     order by comment_id desc limit 1`,
    [of.projectId, of.subject],
  );
  return rows[0] && toCommand(rows[0]);
}

/** The first answer stays: a second look at the same comment finds the world changed by the first. */
export async function writeAnswer(db: Database, id: string, answer: string): Promise<void> {
  await db.query('update commands set answer = $2 where id = $1 and answer is null', [id, answer]);
}

/** The newest command that was answered; where it made a request, its outcome is the answer. */
export async function lastAnsweredCommand(
  db: Database,
  of: { projectId: string; subject: string },
): Promise<(Command & { readonly answer: string }) | undefined> {
  const { rows } = await db.query<CommandRow & { outcome: string | null }>(
    `select ${COLUMNS}, r.outcome from commands c left join requests r on r.id = c.request_id
     where c.project_id = $1 and c.subject = $2 and c.verdict <> 'declined' and coalesce(c.answer, r.outcome) is not null
     order by c.comment_id desc limit 1`,
    [of.projectId, of.subject],
  );
  const [row] = rows;
  if (row === undefined) return undefined;
  const { outcome, ...command } = row;
  return { ...toCommand(command), answer: command.answer ?? outcome ?? '' };
}
