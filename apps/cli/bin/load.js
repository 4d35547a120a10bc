import { basename, dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

/**
 * Runs a program of Bough, `apps/<name>/src/main.ts`: TypeScript as it is (docs/decisions/0001-run-typescript.md), the
 * loader first. Where BOUGH_COMPILED names a directory with `<name>.mjs`, that instead: the tests start hundreds of
 * processes, and compile once.
 *
 * Without the loader's cache: it lies under /tmp by a foreseeable name, where another user could put code into it, stays
 * behind, and saves nothing measurable. Also for the processes that this one starts.
 */
export async function load(main) {
  process.env.TSX_DISABLE_CACHE ??= '1';
  const directory = process.env.BOUGH_COMPILED;
  if (directory) {
    const name = basename(dirname(dirname(fileURLToPath(main))));
    await import(pathToFileURL(join(directory, `${name}.mjs`)).href);
    return;
  }
  const { register } = await import('tsx/esm/api');
  register();
  await import(main.href);
}
