import type { Credentials, ServiceDeclaration, ServiceMode, ServiceProgram } from '../service.ts';
import { majorOf, readConfiguration, superuser } from './configuration.ts';

const mebibyte = 1024 * 1024;

/** The cluster is a folder of the volume, because a volume's own directory cannot be renamed into place. */
export const clusterFolder = 'pg';

export function postgresProgram(
  declaration: ServiceDeclaration,
  credentials: Credentials,
  mode: ServiceMode,
): ServiceProgram {
  const settings = { ...settingsOf(mode), shared_preload_libraries: preloaded(declaration) };
  return {
    initialise: initialiseScript(majorOf(declaration), mode),
    command: commandScript(settings),
    env: { BOUGH_POSTGRESQL_PASSWORD: credentials.password, LC_ALL: 'C' },
    // Fast shutdown: connections are cut and a checkpoint is written; SIGTERM would wait for the last client.
    stopSignal: 'SIGINT',
    stopGraceMs: 60_000,
    limits: limitsOf[mode],
  };
}

const limitsOf: Readonly<Record<ServiceMode, ServiceProgram['limits']>> = {
  production: { memoryBytes: 2048 * mebibyte, pids: 512, cpus: 2 },
  preview: { memoryBytes: 512 * mebibyte, pids: 256, cpus: 1 },
  capture: { memoryBytes: 1024 * mebibyte, pids: 128, cpus: 2 },
};

type Settings = Readonly<Record<string, string>>;

/** Given on the command line, so that they win over whatever a cloned configuration file says. */
const always: Settings = {
  timezone: 'UTC',
  log_timezone: 'UTC',
  lc_messages: 'C',
  logging_collector: 'off',
  log_destination: 'stderr',
  ssl: 'off',
  unix_socket_directories: '/tmp',
  listen_addresses: '127.0.0.1',
};

/** A copy must neither archive nor replicate: it would do so in production's name (data.md §5.3). */
const harmless: Settings = {
  archive_mode: 'off',
  archive_command: '',
  restore_command: '',
  primary_conninfo: '',
  max_wal_senders: '0',
  max_logical_replication_workers: '0',
  session_preload_libraries: '',
  local_preload_libraries: '',
  log_parameter_max_length: '0',
};

/** Most of what makes a clean clone start in 50 ms instead of 140 (data.md §1.4). */
const fast: Settings = {
  fsync: 'off',
  synchronous_commit: 'off',
  wal_buffers: '1MB',
  max_worker_processes: '2',
  max_parallel_workers: '0',
};

function settingsOf(mode: ServiceMode): Settings {
  switch (mode) {
    case 'production':
      return { ...always, shared_buffers: '128MB', max_connections: '100', wal_level: 'replica' };
    case 'preview':
      // Previews are copied while they run (before a deploy hook), so they keep full pages and enough WAL for that.
      return {
        ...always,
        ...harmless,
        ...fast,
        shared_buffers: '32MB',
        max_connections: '50',
        max_wal_size: '256MB',
        wal_level: 'replica',
      };
    case 'capture':
      return {
        ...always,
        ...harmless,
        ...fast,
        shared_buffers: '128MB',
        maintenance_work_mem: '128MB',
        // Indexes are built anew under every masked column, which several processes can do.
        max_parallel_workers: '2',
        max_connections: '20',
        max_wal_size: '1GB',
        wal_level: 'minimal',
        full_page_writes: 'off',
        autovacuum: 'off',
      };
  }
}

/** Of all libraries that could be loaded into every process only these neither connect anywhere nor start jobs. */
const preloadable = ['pg_stat_statements'];

function preloaded(declaration: ServiceDeclaration): string {
  const { extensions } = readConfiguration(declaration);
  return preloadable.filter((library) => extensions.includes(library)).join(',');
}

/** `initdb` works beside the final place, and a rename ends it: a cluster is there or it is not. */
function initialiseScript(major: string, mode: ServiceMode): string {
  const sync = mode === 'production' ? '' : ' --no-sync';
  return `set -eu
umask 077
cluster=/data/${clusterFolder}
if [ -s "$cluster/PG_VERSION" ]; then
  read -r found < "$cluster/PG_VERSION"
  if [ "$found" = ${major} ]; then exit 0; fi
  echo "This volume holds the data of PostgreSQL $found, and the manifest asks for ${major}." >&2
  echo "Keep postgresql:$found, or dump the data and load it into a new service of another name." >&2
  exit 65
fi
password_file=$(mktemp /tmp/password.XXXXXX)
trap 'rm -f "$password_file"' EXIT
printf '%s\\n' "$BOUGH_POSTGRESQL_PASSWORD" > "$password_file"
unset BOUGH_POSTGRESQL_PASSWORD
make_cluster() {
  rm -rf "$cluster.partial"
  initdb -D "$cluster.partial" -U ${superuser} --pwfile="$password_file" -E UTF8 --locale="$1"${sync} \\
    --auth-host=scram-sha-256 --auth-local=scram-sha-256 --no-instructions
}
make_cluster C.UTF-8 || make_cluster C
mv "$cluster.partial" "$cluster"
`;
}

/**
 * A lock file left by a server that was killed names a process id that may now be another program's in this process
 * namespace; the server itself would refuse to start then. It is removed unless the id is really a postgres.
 */
function commandScript(settings: Settings): string {
  const flags = Object.entries(settings).map(([name, value]) => `-c ${name}='${value}'`);
  return `set -eu
unset BOUGH_POSTGRESQL_PASSWORD
lock=/data/${clusterFolder}/postmaster.pid
if [ -f "$lock" ]; then
  read -r holder < "$lock" || holder=none
  read -r name < "/proc/$holder/comm" 2>/dev/null || name=none
  if [ "$name" != postgres ]; then rm -f "$lock"; fi
fi
exec postgres -D /data/${clusterFolder} -p "$PORT" \\
  ${flags.join(' \\\n  ')}
`;
}
