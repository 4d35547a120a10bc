import { lstat, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BoughError } from '@bough/domain/bough-error';
import { clusterFolder } from './program.ts';

/** Settings that say how data is read and written; everything else in a cloned postgresql.conf is dropped. */
const keptSettings = new Set([
  'datestyle',
  'intervalstyle',
  'lc_monetary',
  'lc_numeric',
  'lc_time',
  'default_text_search_config',
  'max_prepared_transactions',
  'max_locks_per_transaction',
]);

/** Only over loopback and the private socket, and only with a password. */
const ownAccessRules = `# Written by Bough for a copy of this database.
local all all scram-sha-256
host all all 127.0.0.1/32 scram-sha-256
host all all ::1/128 scram-sha-256
`;

/** Folders whose contents belong to the running original: slots, archive marks, statistics with query texts, logs. */
const emptied = [
  'pg_replslot',
  'pg_wal/archive_status',
  'pg_stat',
  'pg_stat_tmp',
  'pg_dynshmem',
  'pg_notify',
  'log',
  'pg_log',
];

const removedFiles =
  /^(?:postmaster\.(?:pid|opts)|standby\.signal|recovery\.(?:signal|conf|done)|current_logfiles|.*\.(?:key|crt|pem|crl|p12))$/;

/**
 * Makes a copy of a cluster harmless before anything is started on it (data.md §5.3): it forgets that it was a standby,
 * an archiver, a subscriber or a publisher, whom to let in, and which libraries to load. Paths that lead out of the
 * copy are refused, because starting it would write through them into the original.
 */
export async function postgresDefang(path: string): Promise<void> {
  const cluster = join(path, clusterFolder);
  await rm(`${cluster}.partial`, { recursive: true, force: true });
  if (!(await lstat(join(cluster, 'PG_VERSION')).catch(() => undefined))) return;
  await refuseLinks(cluster);
  for (const folder of emptied) await emptyFolder(join(cluster, folder));
  for (const name of await readdir(cluster)) {
    if (removedFiles.test(name)) await rm(join(cluster, name), { recursive: true, force: true });
  }
  const settings = await readFile(join(cluster, 'postgresql.conf'), 'utf8').catch(() => '');
  await replaceFile(join(cluster, 'postgresql.conf'), harmlessSettings(settings));
  await replaceFile(join(cluster, 'postgresql.auto.conf'), '# Written by Bough.\n');
  await replaceFile(join(cluster, 'pg_hba.conf'), ownAccessRules);
  await replaceFile(join(cluster, 'pg_ident.conf'), '# Written by Bough.\n');
}

function harmlessSettings(text: string): string {
  const kept = text.split('\n').filter((line) => {
    const name = /^\s*([a-z_]+)\s*(?:=|\s)/i.exec(line)?.[1]?.toLowerCase();
    return name !== undefined && keptSettings.has(name);
  });
  return ['# Written by Bough: what the original said on how data is read and written.', ...kept, ''].join(
    '\n',
  );
}

async function refuseLinks(cluster: string): Promise<void> {
  const suspects = [
    '',
    ...(await readdir(cluster)),
    ...(await readdir(join(cluster, 'pg_tblspc'))).map((name) => join('pg_tblspc', name)),
  ];
  for (const name of suspects) {
    if (!(await lstat(join(cluster, name))).isSymbolicLink()) continue;
    throw new BoughError({
      code: 'capture-refused',
      message: `The database keeps ${name} outside its volume, so a copy of it would write into the original.`,
      hint: 'Move it into the data directory: no tablespaces elsewhere, pg_wal and configuration files not linked.',
    });
  }
}

async function emptyFolder(folder: string): Promise<void> {
  for (const name of await readdir(folder).catch((): string[] => [])) {
    await rm(join(folder, name), { recursive: true, force: true });
  }
}

async function replaceFile(path: string, text: string): Promise<void> {
  await rm(path, { force: true });
  await writeFile(path, text, { mode: 0o600, flag: 'wx' });
}
