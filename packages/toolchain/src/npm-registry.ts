import { access, constants, mkdir, realpath, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { BoughError } from '@bough/domain/bough-error';
import { z } from 'zod';
import { processIdentity } from './process-identity.ts';
import { type CommandResult, lastLines, runCommand } from './run-command.ts';
import { isExecutable, searchPath } from './search-path.ts';
import type { ToolContext } from './toolchain.ts';

const viewTimeoutMs = 60_000;
const installTimeoutMs = 5 * 60_000;

/** All versions of a package that the operator's registry has. */
export async function registryVersions(name: string, context: ToolContext): Promise<string[]> {
  const result = await runNpm(['view', name, 'versions', '--json'], context, viewTimeoutMs);
  if (!result.ok) throw registryFailure(name, result);
  return z
    .union([z.array(z.string()), z.string().transform((only) => [only])])
    .parse(JSON.parse(result.stdout));
}

/**
 * Installs exact versions into `directory/node_modules` with the operator's own npm, so that its registry, CA, proxy
 * and credentials are respected. No install script runs: what ours need of them is done by us.
 */
export async function installPackages(
  directory: string,
  packages: Readonly<Record<string, string>>,
  context: ToolContext,
): Promise<void> {
  const specs = Object.entries(packages).map(([name, version]) => `${name}@${version}`);
  context.onProgress?.(`fetching ${specs.join(', ')} from the npm registry`);
  await mkdir(directory, { recursive: true });
  await writeFile(join(directory, 'package.json'), '{ "private": true }\n');
  const flags = [
    '--ignore-scripts',
    '--no-save',
    '--no-package-lock',
    '--no-audit',
    '--no-fund',
    '--omit=dev',
  ];
  const args = ['install', '--prefix', directory, ...flags, ...specs];
  const result = await runNpm(args, context, installTimeoutMs, directory);
  if (!result.ok) throw registryFailure(specs.join(', '), result);
}

async function runNpm(
  args: readonly string[],
  context: ToolContext,
  timeoutMs: number,
  cwd: string = context.home,
): Promise<CommandResult> {
  const [file, ...before] = await npmCommand(context);
  const cache = await fallbackCache(context);
  try {
    return await runCommand(file, [...before, ...args, '--no-update-notifier', '--loglevel=error'], {
      env: { ...npmEnvironment(context.env), ...(cache ? { npm_config_cache: cache } : {}) },
      timeoutMs,
      cwd,
      signal: context.signal,
    });
  } finally {
    if (cache) await rm(cache, { recursive: true, force: true });
  }
}

async function npmCommand(context: ToolContext): Promise<[string, ...string[]]> {
  const [given, ...rest] = context.npmCommand ?? [];
  if (given !== undefined) return [given, ...rest];
  const node = await realpath(process.execPath);
  const besideNode = join(dirname(node), 'npm');
  if (await isExecutable(besideNode)) return [node, await realpath(besideNode)];
  const bundled = join(dirname(node), '../lib/node_modules/npm/bin/npm-cli.js');
  if (await isReadable(bundled)) return [node, bundled];
  const [onPath] = await searchPath('npm', context.env.PATH);
  if (onPath !== undefined) return [onPath];
  throw new BoughError({
    code: 'npm-missing',
    message: 'There is no npm beside Node or on PATH, so tools cannot be fetched from the npm registry.',
    hint: 'Install npm (it comes with Node from nodejs.org; on Debian: apt-get install npm).',
  });
}

/** Settings that say where packages come from. Those of the npm command that started Bough must not leak in. */
const registrySettings =
  /^npm_config_(registry|userconfig|globalconfig|cache|proxy|https?_proxy|no_?proxy|ca|cafile|cert|key|strict_ssl|maxsockets|fetch_.+|\/\/.+|@.+|_auth.*)$/i;

function npmEnvironment(env: ToolContext['env']): Record<string, string | undefined> {
  const kept = Object.entries(env).filter(([name]) => !/^npm_/i.test(name) || registrySettings.test(name));
  return { ...Object.fromEntries(kept), NODE_OPTIONS: undefined, CI: '1' };
}

/** A cache of our own only where the operator's cannot be written (a service account without a home directory). */
async function fallbackCache(context: ToolContext): Promise<string | undefined> {
  const { HOME: userHome, npm_config_cache: configured } = context.env;
  // npm sets npm_config_cache for what it runs, so that this is there under `npm start` even if nobody chose it.
  const usual = configured ?? (userHome === undefined ? undefined : join(userHome, '.npm'));
  if (usual !== undefined && (await isWritableOrCreatable(usual))) return undefined;
  return join(context.home, 'tmp', `${await processIdentity(process.pid)}-npm-cache`);
}

async function isWritableOrCreatable(directory: string): Promise<boolean> {
  const writable = (path: string) => access(path, constants.W_OK);
  return writable(directory).then(
    () => true,
    (error: NodeJS.ErrnoException) =>
      error.code === 'ENOENT' &&
      writable(dirname(directory)).then(
        () => true,
        () => false,
      ),
  );
}

function isReadable(file: string): Promise<boolean> {
  return access(file, constants.R_OK).then(
    () => true,
    () => false,
  );
}

function registryFailure(what: string, result: CommandResult): BoughError {
  const reason = result.timedOut ? 'took too long' : 'failed';
  return new BoughError({
    code: 'toolchain-fetch-failed',
    message: `Fetching ${what} from the npm registry ${reason}.`,
    hint: 'See whether `npm ping` works here; a proxy or mirror is set in ~/.npmrc or by HTTPS_PROXY, and a company CA by NODE_EXTRA_CA_CERTS or cafile.',
    tail: lastLines(result),
    retryable: true,
  });
}
