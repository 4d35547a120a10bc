import { chmod, lstat, mkdir } from 'node:fs/promises';
import { BoughError } from '@bough/domain/bough-error';

/**
 * Makes a directory that nobody else can look into or write to. One that is there already must be ours: under /tmp anybody
 * can make a directory of a foreseeable name, and what lies in it is run.
 */
export async function makePrivateDirectory(path: string, hint: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 });
  const entry = await lstat(path);
  if (!entry.isDirectory() || entry.uid !== process.getuid?.()) {
    throw new BoughError({
      code: 'directory-not-ours',
      message: `${path} is not a directory of this user${entry.isDirectory() ? ` but of uid ${entry.uid}` : ''}.`,
      hint,
    });
  }
  if ((entry.mode & 0o077) !== 0) await chmod(path, 0o700);
}
