import { execFile } from 'node:child_process';
import { chmod, mkdtemp, readdir, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { isAlive, processIdentity } from '@bough/toolchain/process-identity';
import { endProcessesUnder, mountsUnder } from './leaks.ts';

export interface TempHome {
  /** Absolute, without symbolic links, mode 0700. */
  readonly path: string;
  remove(): Promise<void>;
}

const prefix = 'bough-test-';
const ownerFile = '.owner';

/** An empty directory for one test, which notes who made it, so that a killed run can be cleaned up after. */
export async function createTempHome(name = 'home', parent = tmpdir()): Promise<TempHome> {
  const path = await realpath(await mkdtemp(join(parent, `${prefix}${name}-`)));
  await writeFile(join(path, ownerFile), (await processIdentity(process.pid)) ?? '');
  return { path, remove: () => removeTree(path) };
}

/** What runs left behind that were killed: their processes, mounts and directories. */
export async function removeAbandonedHomes(parent = tmpdir()): Promise<void> {
  const directory = await realpath(parent);
  for (const name of await readdir(directory)) {
    if (!name.startsWith(prefix)) continue;
    const path = join(directory, name);
    const owner = await readFile(join(path, ownerFile), 'utf8').catch(() => undefined);
    // Without a note it is another user's, or being made this instant.
    if (owner === undefined || (await isAlive(owner))) continue;
    await endProcessesUnder(path);
    for (const point of (await mountsUnder(path)).reverse()) await promisify(execFile)('umount', [point]);
    await removeTree(path);
  }
}

/** Also where a build made directories read-only, which stops anybody but root. */
async function removeTree(path: string): Promise<void> {
  const options = { recursive: true, force: true, maxRetries: 5, retryDelay: 50 };
  try {
    await rm(path, options);
  } catch (error) {
    if (!['EACCES', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    await makeWritable(path);
    await rm(path, options);
  }
}

async function makeWritable(directory: string): Promise<void> {
  await chmod(directory, 0o700);
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    if (entry.isDirectory()) await makeWritable(join(directory, entry.name));
  }
}
