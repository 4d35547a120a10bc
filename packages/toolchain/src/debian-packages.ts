import { mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BoughError } from '@bough/domain/bough-error';
import { writeNote } from './catalogue.ts';
import { materialise } from './materialise.ts';
import { type CommandResult, lastLines, runCommand } from './run-command.ts';
import { isDirectory, searchPath } from './search-path.ts';
import type { ToolContext } from './toolchain.ts';

const listsMaxAgeMs = 24 * 60 * 60_000;
const updateTimeoutMs = 90_000;
const downloadTimeoutMs = 5 * 60_000;

export interface DebianTool {
  readonly name: string;
  /** The packages that must be unpacked even when dpkg has them; the first one's version is the tool's. */
  readonly packages: readonly string[];
}

/**
 * The upstream version that the machine's own package sources offer: `5:7.0.15-1~deb12u10` is 7.0.15. Undefined when
 * they do not have the package.
 */
export async function offeredVersion(tool: DebianTool, context: ToolContext): Promise<string | undefined> {
  const apt = await openApt(tool.name, context);
  const primary = tool.packages[0] ?? tool.name;
  const policy = await apt.run('apt-cache', ['policy', primary], updateTimeoutMs);
  const candidate = /^\s*Candidate: (\S+)/m.exec(policy.stdout)?.[1];
  return candidate === undefined || candidate === '(none)' ? undefined : upstreamVersion(candidate);
}

/**
 * Unpacks Debian packages, and those of their dependencies that the machine lacks, under Bough's home. Nothing is
 * installed: dpkg's status file is only read, and lists, cache and locks are our own. Works as any user.
 */
export async function unpackDebian(tool: DebianTool, version: string, context: ToolContext): Promise<void> {
  const target = join(context.home, 'debian', `${tool.name}-${version}`);
  const fill = async (directory: string) => {
    const apt = await openApt(tool.name, context);
    const archives = `${directory}.archives`;
    try {
      await download(apt, tool, archives, context);
      const packages = await unpackAll(apt, archives, directory);
      await writeNote(directory, { name: tool.name, version, source: 'debian', packages });
    } finally {
      await rm(archives, { recursive: true, force: true });
    }
  };
  await materialise({ home: context.home, target, fill, signal: context.signal });
}

async function download(apt: Apt, tool: DebianTool, archives: string, context: ToolContext): Promise<void> {
  context.onProgress?.(`fetching ${tool.packages.join(', ')} from Debian's package sources`);
  await mkdir(join(archives, 'partial'), { recursive: true });
  const args = ['-o', `Dir::Cache::archives=${archives}/`, ...installFlags, ...tool.packages];
  const first = await apt.run('apt-get', args, downloadTimeoutMs);
  if (first.ok) return;
  // Lists can be a day old and name files that the mirror has replaced since.
  await apt.update();
  const second = await apt.run('apt-get', args, downloadTimeoutMs);
  if (!second.ok) throw aptFailure(tool.name, second);
}

const installFlags = [
  'install',
  '--download-only',
  '--reinstall',
  '--yes',
  '--no-install-recommends',
  '--quiet',
];

async function unpackAll(apt: Apt, archives: string, directory: string): Promise<Record<string, string>> {
  const packages: Record<string, string> = {};
  for (const file of (await readdir(archives)).filter((name) => name.endsWith('.deb')).sort()) {
    const unpacked = await apt.run(
      'dpkg-deb',
      ['--extract', join(archives, file), directory],
      downloadTimeoutMs,
    );
    if (!unpacked.ok) throw aptFailure(file, unpacked);
    const [name, version] = file.split('_');
    if (name !== undefined) packages[name] = decodeURIComponent(version ?? '');
  }
  return packages;
}

/** Where an unpacked tree keeps executables and libraries, for PATH and LD_LIBRARY_PATH. */
export async function unpackedPaths(directory: string): Promise<{ bin: string[]; libraryPath: string[] }> {
  const bin: string[] = [];
  for (const part of ['usr/sbin', 'usr/bin', 'sbin', 'bin']) {
    if (await isDirectory(join(directory, part))) bin.push(join(directory, part));
  }
  const libraryPath: string[] = [];
  for (const part of ['usr/lib', 'lib']) {
    const names = await readdir(join(directory, part)).catch(() => []);
    libraryPath.push(
      ...names.filter((name) => name.includes('-linux-gnu')).map((name) => join(directory, part, name)),
    );
  }
  return { bin, libraryPath };
}

interface Apt {
  run(
    command: 'apt-get' | 'apt-cache' | 'dpkg-deb',
    args: readonly string[],
    timeoutMs: number,
  ): Promise<CommandResult>;
  update(): Promise<void>;
}

async function openApt(toolName: string, context: ToolContext): Promise<Apt> {
  const apt = join(context.home, 'apt');
  await requireApt(toolName, context);
  await mkdir(join(apt, 'state/lists/partial'), { recursive: true });
  await mkdir(join(apt, 'cache/archives/partial'), { recursive: true });
  const config = join(apt, 'apt.conf');
  await writeFile(config, aptConfig(apt));
  // dpkg-deb calls tar and friends by name: the standard directories are added for users whose PATH lacks them.
  const env = {
    ...context.env,
    LC_ALL: 'C',
    PATH: `${context.env.PATH ?? ''}:/usr/sbin:/usr/bin:/sbin:/bin`,
  };
  const run: Apt['run'] = (command, args, timeoutMs) => {
    const before = command === 'dpkg-deb' ? [] : ['-c', config];
    return runCommand(command, [...before, ...args], { env, timeoutMs, cwd: apt, signal: context.signal });
  };
  const update = async () => {
    context.onProgress?.("reading the lists of Debian's package sources");
    const result = await run('apt-get', ['update', '--quiet'], updateTimeoutMs);
    // One of several sources may be down or foreign; whether what we want is there shows in the next step. Without any
    // network apt-get warns and exits with 0 all the same.
    if (!(await hasLists(apt))) throw aptFailure(toolName, result);
    await writeFile(join(apt, 'updated'), '');
  };
  if (!(await listsAreFresh(apt))) await update();
  return { run, update };
}

async function requireApt(toolName: string, context: ToolContext): Promise<void> {
  for (const command of ['apt-get', 'apt-cache', 'dpkg-deb']) {
    if ((await searchPath(command, context.env.PATH)).length > 0) continue;
    throw new BoughError({
      code: 'toolchain-not-available',
      message: `${toolName} is not installed, and without ${command} Bough cannot unpack it.`,
      hint: `Install ${toolName} with this system's package manager (dnf install, apk add, pacman -S, brew install …).`,
    });
  }
}

/**
 * Read after the machine's own configuration, so that its hooks can be cleared: Docker's images carry some that empty
 * /var/cache/apt. Locks are off because dpkg's is root's, and nothing that it protects is touched.
 */
function aptConfig(apt: string): string {
  return `#clear APT::Update;
#clear DPkg::Pre-Invoke;
#clear DPkg::Post-Invoke;
#clear DPkg::Pre-Install-Pkgs;
Dir::State "${apt}/state/";
Dir::State::lists "lists/";
Dir::State::status "/var/lib/dpkg/status";
Dir::State::extended_states "${apt}/state/extended_states";
Dir::Cache "${apt}/cache/";
Dir::Cache::archives "archives/";
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
Dir::Log "${apt}/";
Dir::Log::Planner "";
APT::Sandbox::User "root";
APT::Get::Assume-Yes "true";
Acquire::Retries "1";
Acquire::http::Timeout "10";
Acquire::https::Timeout "10";
Acquire::Languages "none";
Debug::NoLocking "true";
`;
}

async function hasLists(apt: string): Promise<boolean> {
  const names = await readdir(join(apt, 'state/lists')).catch(() => []);
  return names.some((name) => name.includes('_Packages'));
}

async function listsAreFresh(apt: string): Promise<boolean> {
  const updated = await stat(join(apt, 'updated')).catch(() => undefined);
  return updated !== undefined && Date.now() - updated.mtimeMs < listsMaxAgeMs && (await hasLists(apt));
}

function upstreamVersion(debianVersion: string): string {
  const withoutEpoch = debianVersion.replace(/^\d+:/, '');
  return /^\d+(\.\d+)*/.exec(withoutEpoch)?.[0] ?? withoutEpoch;
}

function aptFailure(what: string, result: CommandResult): BoughError {
  return new BoughError({
    code: 'toolchain-fetch-failed',
    message: `Fetching ${what} from Debian's package sources ${result.timedOut ? 'took too long' : 'failed'}.`,
    hint: `See whether \`apt-get update\` works on this machine (sources, http_proxy), or install ${what} on it.`,
    tail: lastLines(result),
    retryable: true,
  });
}
