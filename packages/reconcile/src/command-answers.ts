import { type Environment, phase } from '@bough/domain/environment';
import type { ParsedCommand } from './command.ts';
import { COMMANDS, type CommandSpec } from './command-table.ts';

export const HELP: string = [
  ...Object.entries(COMMANDS).map(([word, { meaning }]) => `- \`/bough ${word}\` ${meaning}`),
  '',
  'Who may write to the repository may give them, each as the first line of a new comment.',
].join('\n');

/** What to say to a command that cannot be followed; undefined when it can. */
export function unknownCommand({
  word,
  argument,
}: ParsedCommand): { reason: string; answer: string } | undefined {
  const command = Object.hasOwn(COMMANDS, word) ? COMMANDS[word] : undefined;
  if (command !== undefined) {
    const problem = argumentProblem(command, argument);
    if (problem === undefined) return undefined;
    const reason = `\`/bough ${word}\` ${problem.reason}, so nothing was done`;
    return { reason, answer: `${sentence(reason)} ${sentence(problem.hint)}` };
  }
  const reason = `there is no \`/bough ${word}\``;
  return { reason, answer: [`${sentence(reason)} There are:`, '', HELP].join('\n') };
}

function argumentProblem(
  { argument: spec }: CommandSpec,
  argument: string,
): { reason: string; hint: string } | undefined {
  if (spec === undefined) {
    if (argument === '') return undefined;
    return { reason: 'takes nothing behind it', hint: 'write it alone on its line' };
  }
  if (argument === '')
    return spec.optional
      ? undefined
      : { reason: `needs a ${spec.name} behind it`, hint: spec.problem('') ?? '' };
  const hint = spec.problem(argument);
  return hint === undefined ? undefined : { reason: `cannot be followed with this ${spec.name}`, hint };
}

const DECLINED_SHOWN_MAX = 3;
const ANSWER_LENGTH_MAX = 4_000;

/**
 * The answer to `/bough why`. Pure. `outcome` is what the look that heard the question led to; `declined` are reasons for
 * which events of the subject were not acted on, newest first.
 */
export function answerWhy(known: {
  readonly environment: Environment | undefined;
  readonly outcome: string;
  readonly declined: readonly string[];
}): string {
  const lines = [
    stateSentence(known.environment),
    `The pull request was looked at for this answer: ${sentence(known.outcome, 'as it is')}`,
    ...known.declined
      .slice(0, DECLINED_SHOWN_MAX)
      .map((reason) => `- Declined: ${sentence(reason, 'as it is')}`),
  ];
  return lines
    .map((line) => line.replace(/\s+/g, ' '))
    .join('\n')
    .slice(0, ANSWER_LENGTH_MAX);
}

function stateSentence(environment: Environment | undefined): string {
  if (environment === undefined) return 'There is no preview.';
  const { failure, waitingReason, heldReason, runningStep } = environment;
  const commit = `\`${environment.desiredCommit?.slice(0, 7) ?? ''}\``;
  const held = heldReason === null ? '' : `The preview is held: ${sentence(heldReason, 'as it is')}`;
  if (waitingReason !== null) {
    const what = heldReason === null ? 'The preview' : 'What ran before';
    return `${held} ${what} waits: ${sentence(waitingReason, 'as it is')}`.trim();
  }
  switch (phase(environment)) {
    case 'held':
      return held;
    case 'queued':
      return `The preview is queued to run ${commit}.`;
    case 'building':
    case 'deploying':
      return `The preview is at the step \`${runningStep ?? ''}\` of ${commit}.`;
    case 'ready':
      return `The preview runs ${commit}.`;
    case 'asleep':
      return `The preview of ${commit} is asleep.`;
    case 'failed':
      return `The preview of ${commit} failed: ${failure?.message ?? ''} ${failure?.hint ?? ''}`.trim();
    case 'removing':
      return 'The preview is being removed.';
    case 'removed':
      return 'The preview is removed.';
  }
}

function sentence(text: string, start: 'capital' | 'as it is' = 'capital'): string {
  const ended = /[.!?]$/.test(text) ? text : `${text}.`;
  return start === 'capital' ? `${ended.charAt(0).toUpperCase()}${ended.slice(1)}` : ended;
}
