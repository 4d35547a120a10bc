import { type Command, Option } from 'commander';
import { z } from 'zod';
import { table } from '../output.ts';
import type { VerbContext } from '../verb.ts';
import { ProjectView } from './views.ts';

const INTAKE_WORDS: Readonly<Record<string, string>> = {
  webhook: 'a webhook was made, and a ping came back through it',
  app: "the App's webhook brings its events",
  poll: 'the forge cannot reach this Bough (or no webhook secret is set), so it is asked every few seconds',
};

export function projectVerbs(program: Command, context: VerbContext): void {
  const project = program.command('project').description('repositories that Bough serves');

  project
    .command('add <owner/repo>')
    .description('serve a repository: read it, make its events come in, look at its open pull requests')
    .addOption(
      new Option(
        '--production <mode>',
        'external: Bough leaves production alone; managed: it deploys the default branch',
      )
        .choices(['external', 'managed'])
        .default('external'),
    )
    .addOption(
      new Option('--intake <way>', 'left out: the best that works').choices(['webhook', 'app', 'poll']),
    )
    .action(async (repository: string, options: { production: string; intake?: string }) => {
      const api = await context.api();
      const added = ProjectView.parse(
        await api.send('POST', '/projects', {
          repository,
          production: options.production,
          ...(options.intake === undefined ? {} : { intake: options.intake }),
        }),
      );
      context.output.result(added, () =>
        [
          `${added.repository} is project ${added.slug}: ${INTAKE_WORDS[added.intake] ?? added.intake}.`,
          `Production is ${added.production}. Its default branch is ${added.defaultBranch}; policy is read from there.`,
          'Next: open a pull request, then `bough env list`.',
        ].join('\n'),
      );
    });

  project
    .command('propose <project>')
    .description('open the pull request that adds the first manifest')
    .option('--type <runtime>', 'runtime and version', 'nodejs:22')
    .option('--start <command>', 'what starts the web process', 'npm start')
    .action(async (slug: string, options: { type: string; start: string }) => {
      const answer = await (await context.api()).send(
        'POST',
        `/projects/${encodeURIComponent(slug)}/manifest`,
        options,
      );
      const { url } = z.object({ number: z.number(), url: z.string() }).parse(answer);
      context.output.result(
        answer,
        () => `${url} adds the manifest; its comment tells how its own preview goes.`,
      );
    });

  project
    .command('list')
    .description('active projects')
    .action(async () => {
      const { projects } = z
        .object({ projects: z.array(ProjectView) })
        .parse(await (await context.api()).get('/projects'));
      context.output.result(projects, () =>
        projects.length === 0
          ? 'No projects yet. Add one: bough project add owner/repo'
          : table(
              ['PROJECT', 'REPOSITORY', 'PRODUCTION', 'EVENTS BY', 'DEFAULT BRANCH'],
              projects.map((row) => [
                row.slug,
                row.repository,
                row.production,
                row.intake,
                row.defaultBranch,
              ]),
            ),
      );
    });

  project
    .command('remove <project>')
    .description('stop serving a repository; its previews are removed, production’s data stays')
    .action(async (slug: string) => {
      const removed = ProjectView.parse(
        await (await context.api()).send('DELETE', `/projects/${encodeURIComponent(slug)}`),
      );
      context.output.result(
        removed,
        () => `${removed.repository} is not served any more; its previews are being removed.`,
      );
    });
}
