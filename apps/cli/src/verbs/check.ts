import { stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { BoughError } from '@bough/domain/bough-error';
import { checkAppDirectories } from '@bough/manifest/app-directory';
import type { Manifest, Problem } from '@bough/manifest/manifest';
import { checkServices } from '@bough/reconcile/deploy/check-services';
import { manifestAbsent } from '@bough/reconcile/deploy/manifest-absent';
import { readManifestAt } from '@bough/reconcile/policy';
import { serviceFor } from '@bough/service/registry';
import { createToolchain } from '@bough/toolchain/toolchain';
import type { Command } from 'commander';
import { directorySources } from '../directory-sources.ts';
import { EXIT } from '../output.ts';
import type { VerbContext } from '../verb.ts';

/** `bough check`: what a deployment would say of the manifest, before it is pushed. */
export function checkVerb(program: Command, context: VerbContext): void {
  program
    .command('check [directory]')
    .description(
      'read the manifest of a working directory as a deployment would; exit code 3 when it has problems',
    )
    .action(async (given: string | undefined) => {
      const directory = resolve(given ?? '.');
      const { manifest, problems } = await check(context, directory);
      const { files, notes } = manifest ?? { files: [], notes: [] };
      context.output.result({ files, problems, notes }, () =>
        [
          ...problems.map(inOneLine),
          ...notes.map((note) => `note ${inOneLine(note)}`),
          summary(manifest, problems),
        ].join('\n'),
      );
      if (problems.length > 0) process.exitCode = EXIT.unwell;
    });
}

async function check(
  context: VerbContext,
  directory: string,
): Promise<{ manifest: Manifest | undefined; problems: readonly Problem[] }> {
  if (!(await isDirectory(directory))) throw noDirectory(directory);
  const { result, paths } = await readManifestAt(
    { sources: directorySources(directory) },
    { mirror: directory, commit: 'what lies there' },
  );
  if (result.kind === 'absent') throw manifestAbsent(directory, paths);
  if (result.kind === 'problems') return { manifest: undefined, problems: result.problems };
  const { manifest } = result;
  const problems = [
    ...checkAppDirectories(manifest, paths, `in ${directory}`),
    ...checkServices(manifest, serviceFor),
    ...(await checkRuntimes(context, manifest)),
  ];
  return { manifest, problems };
}

/** Without the network: that a runtime is known at all. Whether its version can be had shows when it is deployed. */
async function checkRuntimes(context: VerbContext, manifest: Manifest): Promise<Problem[]> {
  const { home, environment } = context.config;
  const toolchain = createToolchain({
    home: join(home, 'toolchains'),
    env: environment,
    log: { info() {} },
  });
  const problems: Problem[] = [];
  for (const { name, place, toolchains } of manifest.apps) {
    for (const want of toolchains) {
      const error = await toolchain.probe(want).then(
        () => undefined,
        (reason: unknown) => reason,
      );
      if (error === undefined) continue;
      if (!(error instanceof BoughError)) throw error;
      problems.push({ ...place, message: `app "${name}": ${error.message}`, hint: error.hint ?? '' });
    }
  }
  return problems;
}

function inOneLine({ file, line, column, message, hint }: Problem): string {
  return `${file}:${line}:${column}: ${message} ${hint}`.trimEnd();
}

function summary(manifest: Manifest | undefined, problems: readonly Problem[]): string {
  if (manifest === undefined || problems.length > 0)
    return `${problems.length} problem(s): nothing of it would be deployed.`;
  const names = (list: readonly { readonly name: string }[]) => list.map(({ name }) => name).join(', ');
  const services = manifest.services.length === 0 ? 'no services' : `services ${names(manifest.services)}`;
  return `${manifest.files.join(', ')} can be deployed: apps ${names(manifest.apps)}; ${services}.`;
}

async function isDirectory(path: string): Promise<boolean> {
  return await stat(path).then(
    (entry) => entry.isDirectory(),
    () => false,
  );
}

function noDirectory(directory: string): BoughError {
  return new BoughError({
    code: 'usage',
    message: `${directory} is not a directory.`,
    hint: 'Name the one that holds the repository: bough check path/to/repository',
  });
}
