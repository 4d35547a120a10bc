import { randomBytes } from 'node:crypto';
import { link, readFile, rm, writeFile } from 'node:fs/promises';

/**
 * The content of a file that is made once, mode 0600. Of several processes that start for the first time at once, one
 * wins and all read the same: `link` does not overwrite, and the content is there before the name is.
 */
export async function readOrMake(file: string, make: () => string): Promise<string> {
  const existing = await readFile(file, 'utf8').catch(ignoreAbsence);
  if (existing !== undefined) return existing.trim();
  const temporary = `${file}.${process.pid}.${randomBytes(4).toString('hex')}`;
  try {
    await writeFile(temporary, `${make()}\n`, { mode: 0o600, flush: true });
    await link(temporary, file).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
  } finally {
    await rm(temporary, { force: true });
  }
  return (await readFile(file, 'utf8')).trim();
}

function ignoreAbsence(error: NodeJS.ErrnoException): undefined {
  if (error.code === 'ENOENT') return undefined;
  throw error;
}
