import { realpath, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { BoughError } from '@bough/domain/bough-error';
import { type MaterialisedTool, newestMaterialised, toolDigest } from './catalogue.ts';
import { type DebianTool, offeredVersion, unpackDebian, unpackedPaths } from './debian-packages.ts';
import { notAvailable } from './not-available.ts';
import { runCommand } from './run-command.ts';
import { isExecutable, searchPath } from './search-path.ts';
import type { ResolvedToolchain, Tool, ToolContext } from './toolchain.ts';
import { versionFits, type Want } from './want.ts';

export interface DebianToolSpec extends DebianTool {
  /** Commands that are this tool, best first; the first is what Debian's package has. */
  readonly commands: readonly string[];
  /** Finds the exact version in what the command prints when it is asked for it. */
  readonly versionPattern: RegExp;
  /** How it is asked, where `--version` is not understood. */
  readonly versionFlag?: string;
  /** More than a name on PATH must be there, say git's HTTP helper. */
  readonly isComplete?: (command: string) => Promise<boolean>;
  /** What to do where neither the machine nor its package sources have it, when "install it" is not all. */
  readonly hint?: string;
  /** Variables without which the unpacked tree does not find its own parts. */
  readonly env?: (directory: string) => Record<string, string>;
}

/** A tool that the machine has on PATH or that is unpacked from Debian's packages. */
export function debianTool(spec: DebianToolSpec): Tool {
  return {
    find: async (want, context) =>
      (await findSystem(spec, want, context)) ?? (await findUnpacked(spec, want, context)),
    obtain: (want, context) => obtain(spec, want, context),
  };
}

async function findSystem(
  spec: DebianToolSpec,
  want: Want,
  context: ToolContext,
): Promise<ResolvedToolchain | undefined> {
  if (!context.sources.includes('system')) return undefined;
  for (const command of spec.commands) {
    for (const file of await searchPath(command, context.env.PATH)) {
      const version = await askVersion(spec, file, {});
      if (version === undefined || !versionFits(version, want.version)) continue;
      if (spec.isComplete && !(await spec.isComplete(file))) continue;
      return describeSystem(spec, version, file);
    }
  }
  return undefined;
}

async function describeSystem(
  spec: DebianToolSpec,
  version: string,
  file: string,
): Promise<ResolvedToolchain> {
  const note = { name: spec.name, version, source: 'system' as const };
  const bin = dirname(file);
  const real = dirname(await realpath(file));
  const isBase = /^\/(usr\/)?s?bin$|^\/usr\//.test(bin);
  const roots = isBase && real.startsWith('/usr') ? [] : [...new Set([bin, real])];
  return {
    ...note,
    digest: toolDigest(note),
    prefix: dirname(bin),
    bin: [bin],
    libraryPath: [],
    roots,
    env: {},
  };
}

async function findUnpacked(
  spec: DebianToolSpec,
  want: Want,
  context: ToolContext,
): Promise<ResolvedToolchain | undefined> {
  if (!context.sources.includes('debian')) return undefined;
  const tool = await newestMaterialised(context.home, spec.name, want.version);
  if (!tool) return undefined;
  const resolved = await describeUnpacked(spec, tool);
  // A copy that does not run (a disk that was full, a library that the machine lost) makes way for a new one.
  if (!resolved) await rm(tool.directory, { recursive: true, force: true });
  return resolved;
}

async function describeUnpacked(
  spec: DebianToolSpec,
  tool: MaterialisedTool,
): Promise<ResolvedToolchain | undefined> {
  const { bin, libraryPath } = await unpackedPaths(tool.directory);
  const libraries: Record<string, string> =
    libraryPath.length > 0 ? { LD_LIBRARY_PATH: libraryPath.join(':') } : {};
  const file = await firstExecutable(bin, spec.commands);
  const version = file && (await askVersion(spec, file, libraries));
  if (!version) return undefined;
  return {
    name: spec.name,
    version,
    source: 'debian',
    digest: toolDigest({ name: spec.name, version, source: 'debian' }, JSON.stringify(tool.packages)),
    prefix: join(tool.directory, 'usr'),
    bin,
    libraryPath,
    roots: [tool.directory],
    env: spec.env?.(tool.directory) ?? {},
  };
}

async function firstExecutable(
  bin: readonly string[],
  commands: readonly string[],
): Promise<string | undefined> {
  for (const file of commands.flatMap((command) => bin.map((directory) => join(directory, command)))) {
    if (await isExecutable(file)) return file;
  }
  return undefined;
}

async function obtain(spec: DebianToolSpec, want: Want, context: ToolContext): Promise<ResolvedToolchain> {
  const elsewhere = await systemVersions(spec, context);
  if (!context.sources.includes('debian')) throw unavailable(spec, want, elsewhere);
  const offered = await offeredVersion(spec, context);
  if (offered === undefined || !versionFits(offered, want.version)) {
    throw unavailable(spec, want, [...new Set([...elsewhere, ...(offered === undefined ? [] : [offered])])]);
  }
  await unpackDebian(spec, offered, context);
  const resolved = await findUnpacked(spec, want, context);
  if (!resolved) throw unavailable(spec, want, elsewhere);
  return resolved;
}

function unavailable(spec: DebianToolSpec, want: Want, offered: readonly string[]): BoughError {
  const error = notAvailable(want, offered);
  if (spec.hint === undefined || offered.length > 0) return error;
  return new BoughError({ code: error.code, message: error.message, hint: spec.hint });
}

async function systemVersions(spec: DebianToolSpec, context: ToolContext): Promise<string[]> {
  const found = await findSystem(spec, { text: spec.name, name: spec.name, version: undefined }, context);
  return found ? [found.version] : [];
}

async function askVersion(
  spec: DebianToolSpec,
  file: string,
  env: Record<string, string>,
): Promise<string | undefined> {
  const result = await runCommand(file, [spec.versionFlag ?? '--version'], { env, timeoutMs: 10_000 });
  return result.ok ? spec.versionPattern.exec(`${result.stdout}\n${result.stderr}`)?.[1] : undefined;
}
