import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ServiceDeclaration } from '../service.ts';
import { seriesOf } from './configuration.ts';
import { seriesFile } from './program.ts';

/**
 * MariaDB starts on the files of an older series and changes them for good, so that there is no way back, and not at all
 * on those of a newer one. Neither is done unasked.
 */
export async function mariadbUnreadable(
  declaration: ServiceDeclaration,
  path: string,
): Promise<string | undefined> {
  const text = await readFile(join(path, seriesFile), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw error;
  });
  const found = text.trim();
  return found === '' || found === seriesOf(declaration) ? undefined : found;
}
