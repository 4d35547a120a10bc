import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ServiceDeclaration } from '../service.ts';
import { majorOf } from './configuration.ts';
import { clusterFolder } from './program.ts';

/** PostgreSQL reads only the files of its own major version; `PG_VERSION` says which that is. */
export async function postgresUnreadable(
  declaration: ServiceDeclaration,
  path: string,
): Promise<string | undefined> {
  const text = await readFile(join(path, clusterFolder, 'PG_VERSION'), 'utf8').catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return '';
      throw error;
    },
  );
  const found = text.trim();
  return found === '' || found === majorOf(declaration) ? undefined : found;
}
