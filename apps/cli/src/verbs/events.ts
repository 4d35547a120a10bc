import type { Command } from 'commander';
import { z } from 'zod';
import { count } from '../count.ts';
import { age, table } from '../output.ts';
import type { VerbContext } from '../verb.ts';

const EventsView = z.object({
  events: z.array(
    z.object({
      kind: z.string(),
      actor: z.string(),
      detail: z.record(z.string(), z.unknown()),
      at: z.string(),
    }),
  ),
});

export function eventsVerb(program: Command, context: VerbContext): void {
  program
    .command('events')
    .description('what happened and who asked for it: the audit log of the last 14 days')
    .option('--project <project>', 'only of this project')
    .option('--limit <count>', 'how many, newest first', count, '50')
    .action(async (options: { project?: string; limit: string }) => {
      const query = new URLSearchParams({ limit: options.limit });
      if (options.project !== undefined) query.set('project', options.project);
      const { events } = EventsView.parse(await (await context.api()).get(`/events?${query}`));
      context.output.result(events, () =>
        table(
          ['EVENT', 'BY', 'DETAIL', ''],
          events.map(({ kind, actor, detail, at }) => [kind, actor, JSON.stringify(detail), age(at)]),
        ),
      );
    });
}
