import { BoughError } from '@bough/domain/bough-error';
import type { Address, Credentials, RunBeside, SnapshotParticipation } from '../service.ts';
import { dataFolder, seriesFile } from './program.ts';

const refusedExit = 69;

/**
 * A copy of a running server by its own tool, instead of file by file: InnoDB's pages and its redo log, copied one after
 * another, come from different moments, and no lock that a client can take stops the background writer
 * (reference/data.md §1.5). `mariadb-backup` follows the redo log while it copies, applies it to the copy, and blocks
 * commits only at the end, for as long as tables that are not InnoDB's take.
 */
export function mariadbBackup(
  address: Address,
  credentials: Credentials,
  run: RunBeside,
): SnapshotParticipation {
  return {
    async copy(paths) {
      const result = await run(
        {
          command: backupScript,
          env: {
            BOUGH_MARIADB_USER: credentials.username,
            BOUGH_MARIADB_PASSWORD: credentials.password,
            BOUGH_MARIADB_HOST: address.host,
            BOUGH_MARIADB_PORT: String(address.port),
            LC_ALL: 'C',
          },
        },
        paths,
      );
      if (result.exitCode !== 0) throw backupFailed(result);
    },
  };
}

const backupScript = `set -eu
umask 077
tool=$(command -v mariadb-backup || command -v mariabackup || true)
if [ -z "$tool" ]; then
  echo 'mariadb-backup is not installed.' >&2
  exit ${refusedExit}
fi
printf '[client]\\nuser=%s\\npassword=%s\\nhost=%s\\nport=%s\\nprotocol=tcp\\n' "$BOUGH_MARIADB_USER" \\
  "$BOUGH_MARIADB_PASSWORD" "$BOUGH_MARIADB_HOST" "$BOUGH_MARIADB_PORT" > /tmp/backup.cnf
unset BOUGH_MARIADB_PASSWORD
"$tool" --defaults-file=/tmp/backup.cnf --backup --datadir=/data/${dataFolder} --target-dir=/copy/${dataFolder} \\
  --tmpdir=/tmp
"$tool" --no-defaults --prepare --target-dir=/copy/${dataFolder} --tmpdir=/tmp --use-memory=64M
rm -f /copy/${dataFolder}/xtrabackup_* /copy/${dataFolder}/mariadb_backup_* /copy/${dataFolder}/backup-my.cnf
cp /data/${seriesFile} /copy/${seriesFile}
`;

function backupFailed(result: { exitCode: number; tail: readonly string[] }): BoughError {
  if (result.exitCode === refusedExit) {
    return new BoughError({
      code: 'capture-refused',
      message: 'A running MariaDB cannot be copied here: mariadb-backup is not installed beside it.',
      hint: 'Install mariadb-backup of the same version, or put the volumes on btrfs, where a snapshot is one instant.',
    });
  }
  return new BoughError({
    code: 'capture-failed',
    message: `mariadb-backup ended with ${result.exitCode}.`,
    hint: 'Its last lines say why; the parent serves on. Bough tries again.',
    tail: result.tail,
    retryable: true,
  });
}
