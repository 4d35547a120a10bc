import { lstat, readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BoughError } from '@bough/domain/bough-error';
import { dataFolder, rawMark } from './program.ts';

/**
 * Files that belong to the running original: where it replicates from and how far it got, its binary and relay logs,
 * keys, query logs, settings changed by hand, and which pages were hot.
 */
const removedFiles =
  /^(?:master(?:-.*)?\.info|multi-master\.info|relay-log(?:-.*)?\.info|.*-(?:relay-)?bin(?:-.*)?\.(?:\d+|index|state)|relay-bin.*|auto\.cnf|.*\.(?:pem|key|crt|err|log|cnf|pid)|ib_buffer_pool|tc\.log|xtrabackup_.*|mariadb_backup_.*)$/;
/** The general and the slow query log as tables: statements with the values in them. */
const queryLogs = ['mysql/general_log.CSV', 'mysql/slow_log.CSV'];
const outsidePattern = /\.(?:isl|sym)$/;

/**
 * Makes a copy of a data directory harmless before anything is started on it: it forgets that it was a replica or a
 * source. What is in its tables follows at the first start, before a port is opened (program.ts). Paths that lead out of
 * the copy are refused, because starting it would write through them into the original.
 */
export async function mariadbDefang(path: string): Promise<void> {
  const data = join(path, dataFolder);
  await rm(`${data}.partial`, { recursive: true, force: true });
  await rm(join(path, 'tmp'), { recursive: true, force: true });
  if (!(await lstat(data).catch(() => undefined))) return;
  await refuseLinks(data);
  for (const name of await readdir(data)) {
    if (removedFiles.test(name) && !/^aria_log/.test(name))
      await rm(join(data, name), { recursive: true, force: true });
  }
  for (const name of queryLogs) {
    await truncate(join(data, name)).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
    });
  }
  await writeFile(join(path, rawMark), '', { mode: 0o600 });
}

/** Tables can lie elsewhere (`data directory = …`), by a link or by a file that names the place. */
async function refuseLinks(data: string): Promise<void> {
  for (const entry of await readdir(data, { withFileTypes: true, recursive: true })) {
    if (!entry.isSymbolicLink() && !outsidePattern.test(entry.name)) continue;
    throw new BoughError({
      code: 'capture-refused',
      message: `The database keeps ${entry.name} outside its volume, so a copy of it would write into the original.`,
      hint: 'Move it into the data directory: create that table again without `data directory`.',
    });
  }
}
