import { randomBytes } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { BoughError } from '@bough/domain/bough-error';
import { isAlive, processIdentity } from './process-identity.ts';
import { isDirectory } from './search-path.ts';

export interface MaterialiseOptions {
  /** The toolchain home; temporary directories and locks live in it, so that a rename stays on one file system. */
  readonly home: string;
  /** Where the finished directory shall be. It either is absent or complete, never in between. */
  readonly target: string;
  /** Fills an empty directory. Called at most once. */
  readonly fill: (directory: string) => Promise<void>;
  readonly signal?: AbortSignal | undefined;
}

const waitForOtherMs = 10 * 60_000;

/**
 * Makes a directory appear complete or not at all, whoever else tries the same and whenever this process is killed.
 *
 * The rename decides who wins, so the lock only spares the losers the work: a lock that is stolen wrongly costs a
 * download, never a broken directory. What a dead process left behind is removed by the next one to come by.
 */
export async function materialise(options: MaterialiseOptions): Promise<void> {
  if (await isDirectory(options.target)) return;
  const release = await takeLock(options);
  try {
    if (await isDirectory(options.target)) return;
    await removeLeftovers(options.home);
    await fillAndRename(options);
  } finally {
    await release();
  }
}

async function fillAndRename({ home, target, fill, signal }: MaterialiseOptions): Promise<void> {
  const temporary = join(home, 'tmp', `${await ownIdentity()}-${randomBytes(4).toString('hex')}`);
  await mkdir(temporary, { recursive: true, mode: 0o755 });
  try {
    await fill(temporary);
    signal?.throwIfAborted();
    await mkdir(dirname(target), { recursive: true });
    await rename(temporary, target).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    });
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}

async function takeLock(options: MaterialiseOptions): Promise<() => Promise<void>> {
  const file = join(options.home, 'locks', `${basename(options.target)}.lock`);
  await mkdir(dirname(file), { recursive: true });
  const deadline = Date.now() + waitForOtherMs;
  while (!(await createLock(file))) {
    const holder = await readFile(file, 'utf8').catch(() => '');
    // An empty file was created this instant, or its writer died between two system calls: give it one more look.
    if (holder === '') await delay(50, undefined, { signal: options.signal });
    const again = await readFile(file, 'utf8').catch(() => undefined);
    if (again === holder && !(await isAlive(holder))) await rm(file, { force: true });
    else await delay(50, undefined, { signal: options.signal });
    if (Date.now() > deadline) throw lockedTooLong(file, holder);
  }
  return () => rm(file, { force: true });
}

async function createLock(file: string): Promise<boolean> {
  try {
    const handle = await open(file, 'wx', 0o600);
    await handle.writeFile(await ownIdentity()).finally(() => handle.close());
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

async function removeLeftovers(home: string): Promise<void> {
  const temporary = join(home, 'tmp');
  for (const name of await readdir(temporary).catch(() => [])) {
    const owner = name.slice(0, name.lastIndexOf('-'));
    if (!(await isAlive(owner))) await rm(join(temporary, name), { recursive: true, force: true });
  }
}

async function ownIdentity(): Promise<string> {
  return (await processIdentity(process.pid)) ?? `${process.pid}:0`;
}

function lockedTooLong(file: string, holder: string): BoughError {
  return new BoughError({
    code: 'toolchain-locked',
    message: `Another process (${holder.split(':')[0]}) has been preparing ${basename(file, '.lock')} for 10 minutes.`,
    hint: `Look at what that process does; when it is not Bough, remove ${file}.`,
    retryable: true,
  });
}
