import { mkdir, realpath, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { type MaterialisedTool, newestMaterialised, toolDigest, writeNote } from './catalogue.ts';
import { materialise } from './materialise.ts';
import { notAvailable } from './not-available.ts';
import { installPackages, registryVersions } from './npm-registry.ts';
import { runCommand } from './run-command.ts';
import { isExecutable, searchPath } from './search-path.ts';
import type { ResolvedToolchain, Tool, ToolContext } from './toolchain.ts';
import { newestFitting, versionFits } from './want.ts';

/** Older ones run no npm that still talks to today's registries well. Odd majors never got long-term support. */
const oldestMajor = 18;

/**
 * Node with its npm. On the machine: the Node that runs Bough or the one on PATH. Else the npm packages `node-linux-*`,
 * which hold the official binary and nothing else, and the package `npm`, laid out as an official Node prefix.
 */
export const nodejs: Tool = {
  remembers: true,

  async find(want, context) {
    return (await findSystemNode(want.version, context)) ?? (await findMaterialised(want.version, context));
  },

  async obtain(want, context) {
    if (!context.sources.includes('npm') || want.version === undefined) throw notAvailable(want, []);
    const versions = (await registryVersions(platformPackage(), context)).filter(isOffered);
    const version = newestFitting(versions, want.version);
    if (version === undefined) throw notAvailable(want, versions);
    await materialiseNode(version, context);
    const found = await findMaterialised(version, context);
    if (!found) throw notAvailable(want, versions);
    return found;
  },
};

function platformPackage(): string {
  return `node-linux-${process.arch}`;
}

function isOffered(version: string): boolean {
  const major = Number.parseInt(version, 10);
  return /^\d+\.\d+\.\d+$/.test(version) && major >= oldestMajor && major % 2 === 0;
}

async function findSystemNode(
  wanted: string | undefined,
  context: ToolContext,
): Promise<ResolvedToolchain | undefined> {
  if (!context.sources.includes('system')) return undefined;
  const candidates = [process.execPath, ...(await searchPath('node', context.env.PATH))];
  for (const candidate of new Set(await Promise.all(candidates.map((file) => realpath(file))))) {
    const place = await sandboxablePlace(candidate);
    const version = place && (await askVersion(candidate));
    if (place && version && versionFits(version, wanted)) {
      const note = { name: 'nodejs', version, source: 'system' as const };
      return { ...note, digest: toolDigest(note), ...place, libraryPath: [], env: {} };
    }
  }
  return undefined;
}

/**
 * Where a Node lies, if a sandbox can show it: under /usr, which every sandbox shows, or in a prefix of its own as nvm
 * and the official archives have it. Not a bare binary in node_modules or in a home directory, whose surroundings
 * nobody wants shown; not Nix or snap, whose libraries are elsewhere.
 */
async function sandboxablePlace(
  binary: string,
): Promise<Pick<ResolvedToolchain, 'prefix' | 'bin' | 'roots'> | undefined> {
  const bin = dirname(binary);
  const prefix = dirname(bin);
  if (/^\/(nix|gnu|snap)\//.test(binary) || !(await isExecutable(join(bin, 'npm')))) return undefined;
  if (prefix === '/usr' || prefix === '/usr/local') return { prefix, bin: [bin], roots: [] };
  if (prefix === '/' || `${homedir()}/`.startsWith(`${prefix}/`)) return undefined;
  return { prefix, bin: [bin], roots: prefix.startsWith('/usr/') ? [] : [prefix] };
}

async function askVersion(binary: string): Promise<string | undefined> {
  const result = await runCommand(binary, ['--version'], { env: {}, timeoutMs: 10_000 });
  return result.ok ? /^v(\d+\.\d+\.\d+)\s*$/.exec(result.stdout)?.[1] : undefined;
}

async function findMaterialised(
  wanted: string | undefined,
  context: ToolContext,
): Promise<ResolvedToolchain | undefined> {
  if (!context.sources.includes('npm')) return undefined;
  const tool = await newestMaterialised(context.home, 'nodejs', wanted);
  return tool && describeMaterialised(tool);
}

async function describeMaterialised(tool: MaterialisedTool): Promise<ResolvedToolchain | undefined> {
  const { name, directory } = tool;
  const version = await askVersion(join(directory, 'bin/node'));
  // A copy that does not run (a disk that was full, a power cut) makes way for a new one.
  if (version !== tool.version) return rm(directory, { recursive: true, force: true }).then(() => undefined);
  const note = { name, version, source: 'npm' as const };
  return {
    ...note,
    digest: toolDigest(note, JSON.stringify(tool.packages)),
    prefix: directory,
    bin: [join(directory, 'bin')],
    libraryPath: [],
    roots: [directory],
    env: {},
  };
}

async function materialiseNode(version: string, context: ToolContext): Promise<void> {
  const target = join(context.home, 'npm', `nodejs-${version}`);
  const fill = async (directory: string) => {
    const packages = { [platformPackage()]: version, npm: await npmFor(version, context) };
    const install = join(directory, 'install');
    await installPackages(install, packages, context);
    await layOut(directory, join(install, 'node_modules'));
    await rm(install, { recursive: true });
    await writeNote(directory, { name: 'nodejs', version, source: 'npm', packages });
  };
  await materialise({ home: context.home, target, fill, signal: context.signal });
}

/** npm 11 asks for Node 20.17 or 22.9; npm 10 serves everything from 18 on and came with 18 to 22. */
async function npmFor(version: string, context: ToolContext): Promise<string> {
  const major = Number.parseInt(version, 10) <= 22 ? '10' : '11';
  const versions = (await registryVersions('npm', context)).filter((candidate) => /^[\d.]+$/.test(candidate));
  const newest = newestFitting(versions, major);
  if (newest === undefined)
    throw notAvailable({ text: `npm:${major}`, name: 'npm', version: major }, versions);
  return newest;
}

/** The layout of an official Node archive, which npm finds itself and its global packages by. */
async function layOut(prefix: string, nodeModules: string): Promise<void> {
  await mkdir(join(prefix, 'lib/node_modules'), { recursive: true });
  await rename(join(nodeModules, 'npm'), join(prefix, 'lib/node_modules/npm'));
  for (const part of ['bin', 'include', 'LICENSE']) {
    await rename(join(nodeModules, platformPackage(), part), join(prefix, part));
  }
  for (const command of ['npm', 'npx']) {
    const script = join(prefix, `lib/node_modules/npm/bin/${command}-cli.js`);
    await symlink(relative(join(prefix, 'bin'), script), join(prefix, 'bin', command));
  }
  await writeFile(join(prefix, 'lib/node_modules/npm/npmrc'), 'update-notifier=false\n');
}
