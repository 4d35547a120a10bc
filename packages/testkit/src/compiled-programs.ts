import { chmod, readFile, symlink } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build, type Plugin } from 'esbuild';
import { createTempHome } from './temp-home.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const variable = 'BOUGH_TEST_COMPILED';
const own = /^(@bough\/|\.)/;
const ofTests = new Map<string, Promise<string>>();

/**
 * Compiles Bough's own programs, each into one file, for what this process starts from now on. A program starts in a fifth of
 * the processor time then, and the stages of a run start hundreds. What the programs import from registries stays as it is.
 */
export async function compilePrograms(): Promise<{ remove(): Promise<void> }> {
  const directory = await createTempHome('compiled');
  await compile(
    ['cli', 'server', 'worker', 'gateway'].map((name) => ({
      in: join(root, 'apps', name, 'src/main.ts'),
      out: name,
    })),
    directory.path,
  );
  // For what is looked up while they run: `import.meta.resolve`.
  await symlink(join(root, 'node_modules'), join(directory.path, 'node_modules'));
  // Some tests start what is in it as another user.
  await chmod(directory.path, 0o711);
  process.env[variable] = directory.path;
  return {
    async remove() {
      delete process.env[variable];
      await directory.remove();
    },
  };
}

/** For the environment of a program: use what was compiled. Empty where nothing was, as in the benchmarks. */
export function compiledEnvironment(): Record<string, string> {
  const directory = process.env[variable];
  return directory === undefined ? {} : { BOUGH_COMPILED: directory };
}

/**
 * A test's own program, compiled by this process when it is first asked for: what `node` runs. It starts in a tenth of the
 * processor time that the loader takes.
 */
export function compiledProgram(path: string): Promise<string> {
  const known = ofTests.get(path) ?? compileProgram(path);
  ofTests.set(path, known);
  return known;
}

async function compileProgram(path: string): Promise<string> {
  const directory = process.env[variable];
  if (directory === undefined) throw new Error('programs are compiled in the `integration` project only');
  const name = `${basename(path, '.ts')}-${process.pid}-${ofTests.size}`;
  await compile([{ in: path, out: name }], directory);
  return join(directory, `${name}.mjs`);
}

async function compile(programs: readonly { in: string; out: string }[], directory: string): Promise<void> {
  await build({
    entryPoints: [...programs],
    outdir: directory,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    keepNames: true,
    plugins: [libraries, addresses],
  });
}

/** What npm installed is found from where it is imported, not from where the compiled file lies. */
const libraries: Plugin = {
  name: 'libraries',
  setup({ onResolve, resolve }) {
    onResolve({ filter: /^[^./]/ }, async ({ path, kind, resolveDir, pluginData }) => {
      if (pluginData === 'asked' || own.test(path)) return undefined;
      if (path.startsWith('node:')) return { path, external: true };
      const found = await resolve(path, { kind, resolveDir, pluginData: 'asked' });
      const isFile = found.errors.length === 0 && found.path.startsWith('/');
      return { path: isFile ? pathToFileURL(found.path).href : path, external: true };
    });
  },
};

/** A file finds what lies beside it by its own address, which stays that of its source. */
const addresses: Plugin = {
  name: 'addresses',
  setup({ onLoad }) {
    onLoad({ filter: /\/(apps|packages|test)\/.*\.ts$/ }, async ({ path }) => {
      const source = await readFile(path, 'utf8');
      const address = JSON.stringify(pathToFileURL(path).href);
      return { contents: source.replaceAll('import.meta.url', address), loader: 'ts' };
    });
  },
};
