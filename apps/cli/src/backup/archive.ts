import { mkdtemp, open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { BoughError } from '@bough/domain/bough-error';
import { execa } from 'execa';

const timeout = 30 * 60_000;

/** A directory below `parent` for as long as `work` takes; what is in it is as secret as the keys. */
export async function withScratch<Result>(
  parent: string,
  work: (directory: string) => Promise<Result>,
): Promise<Result> {
  const directory = await mkdtemp(join(parent, 'backup-'));
  try {
    return await work(directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Packs a directory with `tar`, which every Debian has. `-` is standard output; a file is there whole or not at all. */
export async function pack(directory: string, file: string): Promise<void> {
  const isStream = file === '-';
  const target = isStream ? file : `${file}.partial`;
  try {
    if (!isStream) await (await open(target, 'w', 0o600)).close();
    await execa('tar', ['-czf', target, '-C', directory, '.'], {
      stdin: 'ignore',
      stdout: isStream ? 'inherit' : 'ignore',
      timeout,
    });
    if (!isStream) await rename(target, file);
  } catch (cause) {
    if (!isStream) await rm(target, { force: true });
    throw new BoughError({
      code: 'backup-not-written',
      message: `The backup could not be written to ${file}.`,
      hint: 'Choose a directory that is there and has room, and call it again.',
      tail: cause instanceof Error ? cause.message.split('\n').slice(-5) : [],
      cause,
    });
  }
}

export async function unpack(file: string, directory: string): Promise<void> {
  // Ownership and modes are ours: an archive may come from another machine.
  const flags = ['--no-same-owner', '--no-same-permissions', '-xzf'];
  const result = await execa('tar', [...flags, file, '-C', directory], {
    stdin: file === '-' ? 'inherit' : 'ignore',
    timeout,
    reject: false,
  });
  if (result.exitCode === 0) return;
  throw new BoughError({
    code: 'backup-unreadable',
    message: `${file} could not be read as a backup of Bough.`,
    hint: 'Give the file that `bough backup create` wrote, decrypted when you encrypted it.',
    tail: result.stderr.split('\n').slice(-5),
  });
}
