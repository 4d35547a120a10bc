import type { Command } from 'commander';
import type { z } from 'zod';
import { age, table } from '../output.ts';
import type { VerbContext } from '../verb.ts';
import { WhyView } from './views.ts';

const SHOWN_MAX = 15;

export function whyVerb(program: Command, context: VerbContext): void {
  program
    .command('why <environment>')
    .description(
      'why it is as it is, or why there is none: for a subject without one, <project> --subject pull/7',
    )
    .option('--subject <subject>', 'production, pull/<number> or branch/<name> of the project')
    .action(async (what: string, options: { subject?: string }) => {
      const path =
        options.subject === undefined
          ? `/environments/${encodeURIComponent(what)}/why`
          : `/projects/${encodeURIComponent(what)}/why?subject=${encodeURIComponent(options.subject)}`;
      const why = WhyView.parse(await (await context.api()).get(path));
      context.output.result(why, () =>
        [
          `${why.subject} is ${why.phase ?? 'without an environment'}.`,
          ...(why.declinedReason === null ? [] : [`No preview: ${why.declinedReason}.`]),
          ...(why.sleepReason === null ? [] : [`Asleep: ${why.sleepReason}.`]),
          ...(why.heldReason === null ? [] : [`Held: ${why.heldReason}.`]),
          ...(why.waitingReason === null ? [] : [`Waiting: ${why.waitingReason}.`]),
          ...(why.failure === null ? [] : [`Failed: ${why.failure.message} ${why.failure.hint ?? ''}`]),
          ...captureWords(why.capture),
          ...deliveryLines(why),
          ...eventLines(why),
        ].join('\n'),
      );
    });
}

function captureWords(capture: z.infer<typeof WhyView>['capture']): string[] {
  if (capture === null) return [];
  const { since, failures, message, hint, retryAt } = capture;
  const times = failures === 1 ? 'once' : `${failures} times`;
  const next = retryAt === null ? '' : ` It is tried again at ${retryAt}.`;
  return [
    `Data: production’s data could not be captured since ${since} (${times}): ${message} ${hint ?? ''}${next}`,
  ];
}

function deliveryLines({ deliveries }: z.infer<typeof WhyView>): string[] {
  if (deliveries.length === 0) return ['No webhook of the last 14 days is about it.'];
  const rows = deliveries
    .slice(0, SHOWN_MAX)
    .map((row) => [
      row.id,
      `${row.event}${row.action === null ? '' : `.${row.action}`}`,
      row.fate,
      row.reason ?? '',
      age(row.receivedAt),
    ]);
  return ['', table(['DELIVERY', 'EVENT', 'FATE', 'WHY', ''], rows)];
}

function eventLines({ events }: z.infer<typeof WhyView>): string[] {
  if (events.length === 0) return [];
  const rows = events
    .slice(0, SHOWN_MAX)
    .map((row) => [row.kind, row.actor, JSON.stringify(row.detail), age(row.at)]);
  return ['', table(['EVENT', 'BY', 'DETAIL', ''], rows)];
}
