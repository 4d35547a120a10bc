import { constants } from 'node:fs';
import { access, lstat, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const modules = fileURLToPath(new URL('../../../node_modules', import.meta.url));

/**
 * Where the demo and the tests keep the Node, git and Redis that they fetched, so that the next run need not: in the
 * checkout's node_modules, which `npm ci` empties. Undefined when that is another user's: files of root in there would make
 * its owner's next `npm ci` fail.
 */
export async function toolchainCache(directory = modules): Promise<string | undefined> {
  try {
    if ((await lstat(directory)).uid !== process.getuid?.()) return undefined;
    const cache = join(directory, '.cache/bough-toolchains');
    await mkdir(cache, { recursive: true, mode: 0o700 });
    await access(cache, constants.R_OK | constants.W_OK | constants.X_OK);
    return cache;
  } catch {
    return undefined;
  }
}
