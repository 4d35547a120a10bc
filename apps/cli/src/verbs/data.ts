import type { Command } from 'commander';
import { age, EXIT, table } from '../output.ts';
import type { VerbContext } from '../verb.ts';
import { dataReportVerb } from './data-report.ts';
import { GoldensView } from './views.ts';

export function dataVerbs(program: Command, context: VerbContext): void {
  const data = program.command('data').description('golden snapshots: what previews are cloned from');

  data
    .command('show <project>')
    .description('golden snapshots and how the last refresh went; exit code 3 when it failed')
    .action(async (project: string) => {
      const answer = await (await context.api()).get(`/projects/${encodeURIComponent(project)}/data`);
      const view = GoldensView.parse(answer);
      context.output.result(view, () => describe(view, project));
      if (view.failure) process.exitCode = EXIT.unwell;
    });

  data
    .command('refresh <project>')
    .description('make a new one; previews that start or sync afterwards get it')
    .action(async (project: string) => {
      const path = `/projects/${encodeURIComponent(project)}/data/refresh`;
      const answer = await (await context.api()).send('POST', path, { askedBy: context.config.user });
      context.output.result(
        answer,
        () =>
          `A new golden snapshot of ${project} is being made. \`bough data show ${project}\` tells how it goes.`,
      );
    });

  dataReportVerb(data, context);
}

function describe({ goldens, refresh, failure }: GoldensView, project: string): string {
  const lines: string[] = [];
  if (goldens.length === 0) lines.push(`${project} has no golden snapshot yet.`);
  else
    lines.push(
      table(
        ['GOLDEN', 'CAPTURED', 'DATA', 'SIZE', 'PREVIEWS', 'WHY'],
        goldens.map((golden) => [
          golden.id,
          golden.capturedAt === null ? '' : age(golden.capturedAt),
          golden.sanitized ? 'sanitized' : 'RAW',
          golden.sizeBytes === null ? '' : `${(golden.sizeBytes / 1e6).toFixed(1)} MB`,
          String(golden.previews),
          golden.why ?? '',
        ]),
      ),
    );
  if (refresh !== null) {
    if (refresh.startedAt !== null)
      lines.push(`refresh  under way since ${age(refresh.startedAt)}: ${refresh.progress ?? 'starting'}`);
    else if (refresh.attemptedAt !== null)
      lines.push(`refresh  last tried ${age(refresh.attemptedAt)}: ${refresh.note ?? 'done'}`);
    if (refresh.dueAt !== null) lines.push(`next     ${refresh.dueAt}`);
  }
  if (failure !== null) {
    lines.push(`failing  since ${age(failure.since)}: ${failure.message}`);
    if (failure.hint !== null) lines.push(`         ${failure.hint}`);
  }
  return lines.join('\n');
}
