import { type Command, Option } from 'commander';
import { z } from 'zod';
import { count } from '../count.ts';
import { age, table } from '../output.ts';
import type { VerbContext } from '../verb.ts';
import { DeliveryView } from './views.ts';

const FATES = ['received', 'queued', 'observed', 'declined', 'ignored', 'failed'];

export function deliveryVerbs(program: Command, context: VerbContext): void {
  const delivery = program.command('delivery').description('webhook requests and what became of them');

  delivery
    .command('list')
    .description('newest first')
    .option('--project <project>', 'only of this project')
    .addOption(new Option('--fate <fate>', 'only these').choices(FATES))
    .option('--limit <count>', 'how many', count, '30')
    .action(async (options: { project?: string; fate?: string; limit: string }) => {
      const query = new URLSearchParams({ limit: options.limit });
      if (options.project !== undefined) query.set('project', options.project);
      if (options.fate !== undefined) query.set('fate', options.fate);
      const answer = await (await context.api()).get(`/deliveries?${query}`);
      const { deliveries } = z.object({ deliveries: z.array(DeliveryView) }).parse(answer);
      context.output.result(deliveries, () =>
        table(
          ['ID', 'EVENT', 'SUBJECTS', 'FATE', 'WHY', ''],
          deliveries.map((row) => [
            row.id,
            `${row.event}${row.action === null ? '' : `.${row.action}`}`,
            row.subjects.join(', '),
            row.fate,
            row.reason ?? '',
            age(row.receivedAt),
          ]),
        ),
      );
    });

  delivery
    .command('replay <id>')
    .description('look again because of it, at the world as it is now')
    .action(async (id: string) => {
      const answer = await (await context.api()).send('POST', `/deliveries/${encodeURIComponent(id)}/replay`);
      context.output.result(
        answer,
        () => `Delivery ${id} is looked at again; \`bough delivery list\` shows what comes of it.`,
      );
    });
}
