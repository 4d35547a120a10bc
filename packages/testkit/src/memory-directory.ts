import { execFile } from 'node:child_process';
import { chmod, rm, statfs, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createTempHome, removeAbandonedHomes } from './temp-home.ts';

const memory = '/dev/shm';
const variable = 'BOUGH_TEST_DISK';
const TMPFS = 0x01021994;
const WANTED_BYTES = 6 * 1024 ** 3;

/**
 * The temporary directory of this process, and of what it starts from now on, in memory. A run makes and removes some
 * hundred thousand files, each database a thousand, and a disk's file system may spend more time on finding room for them
 * than the databases on their work. Where memory is short or may not hold programs, all stays as it was, and that is said.
 */
export async function moveToMemory(): Promise<{ remove(): Promise<void> }> {
  const disk = tmpdir();
  const whyNot = await whyNoMemory();
  if (whyNot !== undefined) {
    console.warn(`The tests' files lie in ${disk}, which takes longer: ${whyNot}.`);
    return { remove: async () => undefined };
  }
  await removeAbandonedHomes(memory);
  const directory = await createTempHome('run', memory);
  // What lies in it says itself who may read it.
  await chmod(directory.path, 0o711);
  const before = process.env.TMPDIR;
  Object.assign(process.env, { TMPDIR: directory.path, [variable]: disk });
  return {
    async remove() {
      delete process.env[variable];
      if (before === undefined) delete process.env.TMPDIR;
      else process.env.TMPDIR = before;
      await directory.remove();
    },
  };
}

/** For what is about disks: a file in memory counts as memory of whoever wrote it, which has other bounds. */
export function diskDirectory(): string {
  return process.env[variable] ?? tmpdir();
}

async function whyNoMemory(): Promise<string | undefined> {
  try {
    const { type, bavail, bsize } = await statfs(memory);
    if (type !== TMPFS) return `${memory} is not memory`;
    // Also less than the machine has, where a container is given so much and no more.
    const free = Math.min(bavail * bsize, process.availableMemory());
    if (free < WANTED_BYTES)
      return `${memory} has ${Math.floor(free / 1024 ** 2)} MiB, and ${WANTED_BYTES / 1024 ** 2} are wanted`;
    await runProgram();
    return undefined;
  } catch (error) {
    return `${memory} cannot be used: ${error instanceof Error ? error.message : String(error)}`;
  }
}

/** Containers often mount it so that nothing in it can be run. */
async function runProgram(): Promise<void> {
  const path = join(memory, `bough-test-program-${process.pid}`);
  try {
    await writeFile(path, '#!/bin/sh\n', { mode: 0o700, flag: 'wx' });
    await promisify(execFile)(path, { timeout: 10_000 });
  } finally {
    await rm(path, { force: true });
  }
}
