import { text } from 'node:stream/consumers';
import { BoughError } from '@bough/domain/bough-error';
import type { Command } from 'commander';
import { z } from 'zod';
import { table } from '../output.ts';
import type { VerbContext } from '../verb.ts';
import { rotateKeyVerb } from './rotate-key.ts';

const VariableView = z.object({
  name: z.string(),
  secret: z.boolean(),
  build: z.boolean(),
  run: z.boolean(),
  production: z.boolean(),
  preview: z.boolean(),
});

const pathOf = (project: string, name?: string): string =>
  `/projects/${encodeURIComponent(project)}/variables${name === undefined ? '' : `/${encodeURIComponent(name)}`}`;

/** `bough secret` and `bough variable`: the same, but a secret's value is never shown and is filtered from logs. */
export function variableVerbs(program: Command, context: VerbContext, kind: 'secret' | 'variable'): void {
  const verbs = program
    .command(kind)
    .description(
      kind === 'secret'
        ? 'values that must not be seen: encrypted, filtered from logs'
        : 'plain variables of a project',
    );

  if (kind === 'secret') rotateKeyVerb(verbs, context);

  verbs
    .command('set <project> <name> [value]')
    .description(
      'the value is read from standard input when it is left out, so that it stays out of the shell’s history',
    )
    .option('--build', 'builds see it')
    .option('--run', 'running apps and hooks see it (the default)')
    .requiredOption('--for <kind>', 'production or preview: previews never inherit production’s')
    .action(
      async (
        project: string,
        name: string,
        given: string | undefined,
        options: { build?: true; run?: true; for: string },
      ) => {
        if (options.for !== 'production' && options.for !== 'preview') {
          throw new BoughError({
            code: 'usage',
            message: `--for ${options.for} is not known.`,
            hint: 'Write --for production or --for preview.',
          });
        }
        if (given === undefined && process.stdin.isTTY)
          process.stderr.write(`Type the value of ${name}, then Enter and Ctrl-D.\n`);
        const value = given ?? (await text(process.stdin)).replace(/\r?\n$/, '');
        const set = await (await context.api()).send('PUT', pathOf(project, name), {
          value,
          secret: kind === 'secret',
          build: options.build ?? false,
          run: options.run ?? options.build === undefined,
          production: options.for === 'production',
          preview: options.for === 'preview',
        });
        context.output.result(
          set ?? { name },
          () => `${name} is set. Environments that get it are deployed again with it: bough env list`,
        );
      },
    );

  verbs
    .command('list <project>')
    .description('names and what they are for')
    .action(async (project: string) => {
      const answer = z
        .object({ variables: z.array(VariableView) })
        .parse(await (await context.api()).get(pathOf(project)));
      const rows = answer.variables.filter((variable) => variable.secret === (kind === 'secret'));
      context.output.result(rows, () =>
        rows.length === 0
          ? `No ${kind}s of ${project}. \`bough ${kind} set ${project} <name> --for preview\` sets one.`
          : table(
              ['NAME', 'AT', 'FOR'],
              rows.map((row) => [
                row.name,
                [row.build ? 'build' : '', row.run ? 'run' : ''].filter(Boolean).join(', '),
                [row.production ? 'production' : '', row.preview ? 'preview' : ''].filter(Boolean).join(', '),
              ]),
            ),
      );
    });

  verbs
    .command('delete <project> <name>')
    .description('forget it')
    .action(async (project: string, name: string) => {
      await (await context.api()).send('DELETE', pathOf(project, name));
      context.output.result({ name }, () => `${name} is deleted.`);
    });
}
