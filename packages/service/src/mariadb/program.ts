import { Secret } from '@bough/domain/secret';
import type { Credentials, ServiceDeclaration, ServiceMode, ServiceProgram } from '../service.ts';
import { readConfiguration, seriesOf, superuser } from './configuration.ts';
import { nativePassword } from './native-password.ts';

const mebibyte = 1024 * 1024;

/** The data directory is a folder of the volume, because a volume's own directory cannot be renamed into place. */
export const dataFolder = 'mariadb';
/** The two numbers of the version whose files these are. */
export const seriesFile = 'series';
/** A copy that nothing was started on yet: what is in its tables is made harmless before the server opens a port. */
export const rawMark = 'raw';

export function mariadbProgram(
  declaration: ServiceDeclaration,
  credentials: Credentials,
  mode: ServiceMode,
): ServiceProgram {
  const settings = settingsOf(mode, readConfiguration(declaration).flags);
  return {
    initialise: initialiseScript(seriesOf(declaration), settings),
    command: commandScript(settings),
    env: { BOUGH_MARIADB_HASH: new Secret(nativePassword(credentials.password)), LC_ALL: 'C' },
    stopSignal: 'SIGTERM',
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

const always: Settings = {
  'bind-address': '127.0.0.1',
  socket: '/tmp/mariadb.sock',
  'pid-file': '/tmp/mariadb.pid',
  tmpdir: '/data/tmp',
  'secure-file-priv': '/data/tmp',
  'default-time-zone': '+00:00',
  'log-warnings': '1',
  'myisam-recover-options': 'BACKUP,FORCE',
  'innodb-buffer-pool-dump-at-shutdown': 'OFF',
  'innodb-buffer-pool-load-at-startup': 'OFF',
  'performance-schema': 'OFF',
  'key-buffer-size': '8M',
};

/** What `properties` may replace. The collation is the reference platform's. */
const defaults: Settings = {
  'character-set-server': 'utf8mb4',
  'collation-server': 'utf8mb4_general_ci',
  'max-allowed-packet': '64M',
};

/**
 * A copy must not do in production's name what production does by itself: run events, follow or feed replicas. Not
 * `DISABLED`: migrations could not make events then.
 */
const harmless: Settings = { 'event-scheduler': 'OFF', 'skip-slave-start': 'ON' };

/** May lose its last second on a power cut, or all of it, which a preview can. */
const relaxed: Settings = {
  'innodb-flush-log-at-trx-commit': '0',
  'loose-innodb-flush-method': 'nosync',
  'innodb-log-file-size': '16M',
};

function settingsOf(mode: ServiceMode, properties: Settings): Settings {
  const base = { ...always, ...defaults, ...properties };
  switch (mode) {
    case 'production':
      return {
        ...base,
        'innodb-buffer-pool-size': '128M',
        'innodb-log-file-size': '96M',
        'aria-pagecache-buffer-size': '16M',
        'max-connections': '100',
      };
    case 'preview':
      return {
        ...base,
        ...harmless,
        ...relaxed,
        'innodb-buffer-pool-size': '32M',
        'aria-pagecache-buffer-size': '4M',
        'innodb-log-buffer-size': '2M',
        'table-open-cache': '400',
        'max-connections': '50',
      };
    case 'capture':
      return {
        ...base,
        ...harmless,
        ...relaxed,
        'innodb-buffer-pool-size': '128M',
        'innodb-doublewrite': '0',
        'aria-pagecache-buffer-size': '16M',
        'max-connections': '20',
      };
  }
}

/** Where the toolchain lies: an unpacked server does not know it. */
const places = `set -eu
umask 077
server=$(command -v mariadbd)
prefix=$(dirname "$(dirname "$server")")
messages=$prefix/share/mysql
if [ ! -f "$messages/english/errmsg.sys" ]; then messages=$prefix/share/mariadb; fi
data=/data/${dataFolder}
rm -rf /data/tmp
mkdir -m 700 /data/tmp
`;

function flagLines(settings: Settings): string {
  return Object.entries(settings)
    .map(([name, value]) => `--${name}='${value}'`)
    .join(' \\\n  ');
}

/**
 * Works beside the final place, and a rename ends it: a data directory is there or it is not. The accounts that
 * MariaDB makes of itself have no password, so they go before the server ever listens.
 */
function initialiseScript(series: string, settings: Settings): string {
  return `${places}if [ -d "$data" ]; then
  read -r found < /data/${seriesFile} || found=unknown
  if [ "$found" = ${series} ]; then exit 0; fi
  echo "This volume holds the data of MariaDB $found, and the manifest asks for ${series}." >&2
  echo "Keep mariadb:$found, or dump the data and load it into a new service of another name." >&2
  exit 65
fi
rm -rf "$data.partial"
mkdir "$data.partial"
if ! mariadb-install-db --no-defaults --basedir="$prefix" --datadir="$data.partial" --lc-messages-dir="$messages" \\
  --auth-root-authentication-method=normal --skip-test-db --skip-name-resolve \\
  ${flagLines(pick(settings, initialFlags))} > /tmp/initialise.log 2>&1; then
  cat /tmp/initialise.log >&2
  exit 1
fi
cat > /tmp/accounts.sql <<SQL
delete from mysql.global_priv where user in ('root', '');
delete from mysql.proxies_priv;
flush privileges;
create user '${superuser}'@'%' identified via mysql_native_password using '$BOUGH_MARIADB_HASH';
grant all privileges on *.* to '${superuser}'@'%' with grant option;
SQL
unset BOUGH_MARIADB_HASH
if ! "$server" --no-defaults --bootstrap --basedir="$prefix" --datadir="$data.partial" --lc-messages-dir="$messages" \\
  ${flagLines(pick(settings, initialFlags))} < /tmp/accounts.sql > /tmp/initialise.log 2>&1; then
  cat /tmp/initialise.log >&2
  exit 1
fi
rm -f /tmp/accounts.sql
printf '%s\\n' ${series} > /data/${seriesFile}
mv "$data.partial" "$data"
`;
}

/** Those that shape the files themselves, or that both runs need to agree on. */
const initialFlags = [
  'tmpdir',
  'innodb-log-file-size',
  'innodb-flush-log-at-trx-commit',
  'loose-innodb-flush-method',
  'lower-case-table-names',
  'character-set-server',
  'collation-server',
];

function pick(settings: Settings, names: readonly string[]): Settings {
  return Object.fromEntries(Object.entries(settings).filter(([name]) => names.includes(name)));
}

/**
 * A copy starts twice: first without a port, plugins, events or replication (\`--bootstrap\` leaves them all alone), to
 * recover and to forget what would make the second start load or call anything.
 */
function commandScript(settings: Settings): string {
  return `unset BOUGH_MARIADB_HASH
${places}serve() {
  exec "$server" --no-defaults --basedir="$prefix" --datadir="$data" --lc-messages-dir="$messages" \\
  --skip-name-resolve --skip-log-bin --skip-symbolic-links --port="$PORT" \\
  ${flagLines(settings)} "$@"
}
if [ -e /data/${rawMark} ]; then
  (serve --bootstrap) <<SQL
delete from mysql.plugin;
delete from mysql.servers;
delete from mysql.gtid_slave_pos;
SQL
  rm -f /data/${rawMark}
fi
serve
`;
}
