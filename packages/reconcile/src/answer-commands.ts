import { BoughError } from '@bough/domain/bough-error';
import type { Forge, RepositoryRef } from '@bough/forge/forge';
import { writeAnswer } from '@bough/store/commands';
import { listDeliveries, settleDeliveries } from '@bough/store/deliveries';
import { findLastEnvironment } from '@bough/store/environments';
import type { Project } from '@bough/store/projects';
import { answerWhy } from './command-answers.ts';
import type { Context } from './context.ts';
import { type Heard, type HeardCommand, REACTIONS } from './hear-commands.ts';

type AnswerContext = Pick<Context, 'pool' | 'enqueue' | 'log'>;

interface Answering {
  readonly project: Project;
  readonly subject: string;
  readonly repository: RepositoryRef;
  /** What the look that heard them led to. */
  readonly outcome: string;
  readonly heard: Heard;
  readonly forge: Forge;
  readonly signal: AbortSignal;
}

/** Deliveries of commands that have no sign yet, and why. */
interface Unanswered {
  readonly deliveries: readonly string[];
  readonly failure: unknown;
}

/**
 * The words go to the one comment, by way of feedback; a sign goes to the comment that holds the command. May be
 * called again for the same commands. Settles the deliveries of those that were not followed.
 */
export async function answerCommands(context: AnswerContext, of: Answering): Promise<Unanswered> {
  const { project, subject, heard } = of;
  if (heard.commands.length === 0) return { deliveries: [], failure: undefined };
  const environment = await findLastEnvironment(context.pool, { projectId: project.id, subject });
  for (const { word, command } of heard.commands) {
    if (word !== 'why' || command.verdict !== 'accepted' || command.answer !== null) continue;
    const declined = await listDeliveries(context.pool, {
      repositoryId: project.repositoryId,
      subject,
      fate: 'declined',
      limit: 10,
    });
    const reasons = declined.flatMap(({ reason }) => (reason === null ? [] : [reason]));
    const answer = answerWhy({ environment, outcome: of.outcome, declined: reasons });
    await writeAnswer(context.pool, command.id, answer);
  }
  const speaks = heard.commands.some(({ command }) => command.verdict !== 'declined');
  if (speaks && environment !== undefined) await context.enqueue('feedback', environment.id);
  const unanswered = await reactToCommands(context, of);
  await declineCommands(context, heard.commands, unanswered);
  return unanswered;
}

async function reactToCommands(context: AnswerContext, of: Answering): Promise<Unanswered> {
  const deliveries: string[] = [];
  let failure: unknown;
  for (const { deliveryId, command } of of.heard.commands) {
    const reaction = { commentId: command.commentId, content: REACTIONS[command.verdict] };
    try {
      await of.forge.react(of.repository, reaction, of.signal);
    } catch (error) {
      // A locked conversation takes no sign, today or tomorrow: what was asked for is done all the same.
      if (error instanceof BoughError && !error.retryable) {
        context.log.warn({ commentId: command.commentId, error }, 'the forge refuses a reaction');
        continue;
      }
      failure ??= error;
      deliveries.push(deliveryId);
    }
  }
  return { deliveries, failure };
}

/** What was not followed is declined, each with its own reason; the others share the outcome of the look. */
async function declineCommands(
  context: AnswerContext,
  commands: readonly HeardCommand[],
  unanswered: Unanswered,
): Promise<void> {
  for (const { deliveryId, command } of commands) {
    if (command.verdict === 'accepted' || unanswered.deliveries.includes(deliveryId)) continue;
    const reason = `${command.askedBy} asked for \`${command.command}\`: ${command.reason ?? ''}`;
    await settleDeliveries(context.pool, [deliveryId], { fate: 'declined', reason });
  }
}
