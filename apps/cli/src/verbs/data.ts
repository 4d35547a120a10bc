import type { Command } from 'commander';
import type { VerbContext } from '../verb.ts';

export function dataVerbs(program: Command, context: VerbContext): void {
  program
    .command('data')
    .description('golden snapshots: what previews are cloned from')
    .command('refresh <environment>')
    .description('make a new one of a production environment; previews that start afterwards get it')
    .action(async (slug: string) => {
      const path = `/environments/${encodeURIComponent(slug)}/data/refresh`;
      const answer = await (await context.api()).send('POST', path);
      context.output.result(answer, () => `A new golden snapshot of ${slug} is being made.`);
    });
}
