import { debianTool } from './debian-tool.ts';

/**
 * `mariadbd` with its client, dump and install tools. Unpacked, it does not know where it lies: start it with
 * `--basedir=<prefix>` and `--lc-messages-dir=<prefix>/share/mysql`.
 */
export const mariadb = debianTool({
  name: 'mariadb',
  packages: ['mariadb-server-core', 'mariadb-client-core', 'mariadb-client', 'mariadb-common'],
  commands: ['mariadbd'],
  versionPattern: /Ver (\d+(?:\.\d+)+)-MariaDB/,
});
