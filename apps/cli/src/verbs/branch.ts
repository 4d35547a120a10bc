import { BoughError } from '@bough/domain/bough-error';
import type { Command } from 'commander';
import { z } from 'zod';
import { table } from '../output.ts';
import type { VerbContext } from '../verb.ts';
import { EnvironmentView } from './views.ts';

const Opened = z.object({
  slug: z.string(),
  commit: z.string(),
  branchOf: z.object({ from: z.string(), data: z.enum(['golden', 'none']) }),
  expiresAt: z.string(),
});

interface Options {
  readonly project?: string;
  readonly from?: string;
  readonly commit?: string;
  readonly data?: string;
  readonly expires?: string;
}

export function branchVerbs(program: Command, context: VerbContext): void {
  const branch = program
    .command('branch')
    .description('an environment for a bug, without a pull request: production’s code and sanitized data')
    .argument('<name>', 'part of its address: lower case letters, digits and hyphens')
    .option('--project <project>', 'may be left out where there is one')
    .option('--from <environment>', 'whose code and data: production, pr-7, another branch', 'production')
    .option('--commit <sha>', 'another commit; of the default branch, or one that a preview ran')
    .option(
      '--data <data>',
      'golden: the snapshot that previews get; none: empty services, seeded by the deploy hook',
      'golden',
    )
    .option('--expires <duration>', 'removed after that: 12h, 3d; `bough env keep` prolongs it', '3d')
    .action(async (name: string, options: Options) => {
      const { project, ...wish } = options;
      const body = { ...wish, name, askedBy: context.config.user };
      const answer = await (await context.api()).send('POST', await pathOf(context, project), body);
      const { slug, commit, branchOf, expiresAt } = Opened.parse(answer);
      const data = branchOf.data === 'golden' ? 'its golden data' : 'no data';
      context.output.result(answer, () =>
        [
          `${slug} is being made of ${branchOf.from} at ${commit.slice(0, 7)} with ${data}. It is removed at ${expiresAt}.`,
          `Next: bough env show ${slug}`,
        ].join('\n'),
      );
    });

  branch
    .command('list')
    .description('branches that live')
    .option('--project <project>', 'may be left out where there is one')
    .action(async (_: unknown, command: Command) => {
      const { project } = command.optsWithGlobals<Options>();
      const answer = await (await context.api()).get(await pathOf(context, project));
      const { branches } = z.object({ branches: z.array(EnvironmentView) }).parse(answer);
      context.output.result(branches, () =>
        branches.length === 0
          ? 'No branches. `bough branch <name>` makes one.'
          : table(
              ['BRANCH', 'ENVIRONMENT', 'FROM', 'PHASE', 'COMMIT', 'DATA', 'REMOVED AT'],
              branches.map(row),
            ),
      );
    });

  branch
    .command('delete <name>')
    .description('remove it with its data')
    .option('--project <project>', 'may be left out where there is one')
    .action(async (name: string, _: unknown, command: Command) => {
      const { project } = command.optsWithGlobals<Options>();
      const path = `${await pathOf(context, project)}/${encodeURIComponent(name)}`;
      const by = encodeURIComponent(context.config.user);
      const asked = await (await context.api()).send('DELETE', `${path}?askedBy=${by}`);
      context.output.result(
        asked,
        () => `${name} is asked away. \`bough branch list\` tells when it is gone.`,
      );
    });
}

function row(view: EnvironmentView): string[] {
  return [
    view.subject.replace(/^branch\//, ''),
    view.slug,
    view.branchOf?.from ?? '',
    view.phase,
    view.commit?.slice(0, 7) ?? '',
    view.data.state,
    endOf(view) ?? '',
  ];
}

/** Until when a branch stays; null for what is none. */
export function endOf({
  expiresAt,
  keptUntil,
}: Pick<EnvironmentView, 'expiresAt' | 'keptUntil'>): string | null {
  return expiresAt !== null && keptUntil !== null && keptUntil > expiresAt ? keptUntil : expiresAt;
}

async function pathOf(context: VerbContext, named: string | undefined): Promise<string> {
  const slug = named ?? (await onlyProject(context));
  return `/projects/${encodeURIComponent(slug)}/branches`;
}

async function onlyProject(context: VerbContext): Promise<string> {
  const answer = await (await context.api()).get('/projects');
  const { projects } = z.object({ projects: z.array(z.object({ slug: z.string() })) }).parse(answer);
  const [first, ...others] = projects;
  if (first !== undefined && others.length === 0) return first.slug;
  throw new BoughError({
    code: 'usage',
    message: first === undefined ? 'There is no project.' : 'There are several projects.',
    hint:
      first === undefined
        ? 'Connect a repository first: bough project add owner/repo'
        : `Say which: --project ${projects.map(({ slug }) => slug).join(' | ')}`,
  });
}
