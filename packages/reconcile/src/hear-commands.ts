import { BoughError } from '@bough/domain/bough-error';
import type { Forge, ParsedDelivery, PullRequest, Reaction, RepositoryRef } from '@bough/forge/forge';
import { type Command, findCommand, insertCommand, lastRequestingCommand } from '@bough/store/commands';
import type { Delivery } from '@bough/store/deliveries';
import type { Project } from '@bough/store/projects';
import type { RequestKind } from '@bough/store/requests';
import type pg from 'pg';
import { type ParsedCommand, parseCommand } from './command.ts';
import { HELP, unknownCommand } from './command-answers.ts';
import { COMMANDS } from './command-table.ts';
import { approvalProblem } from './trust/judge-trust.ts';
import type { Stranger } from './trust/stranger.ts';

/** Each costs a question and a reaction; whoever writes more waits for the next look. */
const COMMANDS_PER_LOOK_MAX = 5;

export interface HeardCommand {
  readonly deliveryId: string;
  readonly word: string;
  readonly command: Command;
}

export interface Heard {
  /** In the order in which they were written. */
  readonly commands: readonly HeardCommand[];
  /** Deliveries with a command that has to wait for another look. */
  readonly postponed: readonly string[];
  /** Why, when the forge could not be asked: to be thrown when everything else is done. */
  readonly failure: unknown;
}

interface Listening {
  readonly pool: pg.Pool;
  readonly forge: Forge;
  readonly repository: RepositoryRef;
  readonly project: Project;
  readonly subject: string;
  /** As it is now; undefined for what is no pull request. */
  readonly pull: PullRequest | 'gone' | undefined;
  readonly stranger: Stranger | undefined;
}

type Comment = Extract<ParsedDelivery, { kind: 'comment' }>;

/**
 * Reads the commands among deliveries and writes them down, those that ask for something with a request. Nothing is done
 * about them here. May be called again with the same deliveries, also after a crash: a comment is decided about once.
 */
export async function hearCommands(listening: Listening, deliveries: readonly Delivery[]): Promise<Heard> {
  const spoken = deliveries.flatMap((delivery) => {
    const comment = commentOf(delivery, listening.subject);
    const parsed = comment && parseCommand(comment.body);
    return parsed === undefined || comment === undefined ? [] : [{ id: delivery.id, comment, parsed }];
  });
  spoken.sort((a, b) => a.comment.commentId - b.comment.commentId);
  const commands: HeardCommand[] = [];
  const postponed = spoken.slice(COMMANDS_PER_LOOK_MAX).map(({ id }) => id);
  let failure: unknown;
  for (const { id, comment, parsed } of spoken.slice(0, COMMANDS_PER_LOOK_MAX)) {
    try {
      const command = await hear(listening, comment, parsed);
      commands.push({ deliveryId: id, word: parsed.word, command });
    } catch (error) {
      // A comment that cannot be judged now must not keep the pull request from being deployed.
      failure ??= error;
      postponed.push(id);
    }
  }
  return { commands, postponed, failure };
}

function commentOf(delivery: Delivery, subject: string): Comment | undefined {
  // It was parsed by the forge's schema when it was stored.
  const payload = delivery.payload as ParsedDelivery;
  return payload.kind === 'comment' && payload.subject === subject ? payload : undefined;
}

async function hear(listening: Listening, comment: Comment, parsed: ParsedCommand): Promise<Command> {
  const { pool, project, subject } = listening;
  const of = { projectId: project.id, subject, commentId: comment.commentId };
  const known = await findCommand(pool, of);
  if (known !== undefined) return known;
  const decision = await decide(listening, comment, parsed);
  const command = ['/bough', parsed.word, parsed.argument].filter((part) => part !== '').join(' ');
  const argument = parsed.argument === '' ? null : parsed.argument;
  return await insertCommand(pool, { ...of, askedBy: comment.user, command, argument, ...decision });
}

interface Decision {
  readonly verdict: Command['verdict'];
  readonly reason: string | null;
  readonly request: RequestKind | null;
  readonly answer: string | null;
}

async function decide(listening: Listening, comment: Comment, parsed: ParsedCommand): Promise<Decision> {
  const refusal = await refuseCommand(listening, comment.user);
  if (refusal !== undefined) return declined(refusal);
  if (comment.action === 'edited') return EDITED;
  const unknown = unknownCommand(parsed);
  if (unknown !== undefined) {
    return { verdict: 'unknown', reason: unknown.reason, request: null, answer: unknown.answer };
  }
  const problem =
    parsed.word === 'approve'
      ? approvalProblem(listening.pull, listening.stranger, parsed.argument)
      : undefined;
  if (problem !== undefined) {
    const { reason, hint } = problem;
    return {
      verdict: 'unknown',
      reason,
      request: null,
      answer: `${reason.charAt(0).toUpperCase()}${reason.slice(1)}. ${hint}`,
    };
  }
  if (parsed.word === 'help') return { verdict: 'accepted', reason: null, request: null, answer: HELP };
  const spec = COMMANDS[parsed.word];
  // `why` is answered when it is known what the look led to.
  if (spec === undefined || spec.request === null)
    return { verdict: 'accepted', reason: null, request: null, answer: null };
  const last = await lastRequestingCommand(listening.pool, {
    projectId: listening.project.id,
    subject: listening.subject,
  });
  if (last !== undefined && last.commentId > comment.commentId) {
    return declined(`${last.askedBy} asked for \`${last.command}\` in a later comment, which came first`);
  }
  return { verdict: 'accepted', reason: null, request: spec.request, answer: spec.answer ?? null };
}

/** Where Bough polls: a webhook tells what was written, and edits after that are ignored. */
const EDITED: Decision = {
  verdict: 'unknown',
  reason: 'the comment was edited before Bough read it, so nothing was done',
  request: null,
  answer:
    'The comment was edited before Bough read it, and nobody can tell what it said at first, so nothing was done. Write the command as a new comment.',
};

function declined(reason: string): Decision {
  return { verdict: 'declined', reason, request: null, answer: null };
}

/** Asked of the forge: what a webhook says about the author proves nothing about write access (DESIGN §10). */
export async function refuseCommand(
  { forge, repository, project }: Pick<Listening, 'forge' | 'repository' | 'project'>,
  user: string,
): Promise<string | undefined> {
  const needed = `commands need write access to ${project.owner}/${project.name}`;
  try {
    switch (await forge.permission(repository, user)) {
      case 'admin':
      case 'write':
        return undefined;
      case 'read':
        return `${user} may read only; ${needed}`;
      case 'none':
        return `${user} has no part in the repository; ${needed}`;
    }
  } catch (error) {
    if (!(error instanceof BoughError) || error.retryable || !FINAL.has(error.code)) throw error;
    return `the forge does not tell what ${user} may do, and ${needed}`;
  }
}

const FINAL: ReadonlySet<string> = new Set(['forge-forbidden', 'forge-rejected']);

/** The one sign that is put on the comment. */
export const REACTIONS: Readonly<Record<Command['verdict'], Reaction>> = {
  accepted: 'rocket',
  unknown: 'confused',
  declined: '-1',
};
