import { dirname, join } from 'node:path';
import { debianTool } from './debian-tool.ts';
import { isExecutable } from './search-path.ts';

/**
 * `mariadbd` with its client, install and backup tools. Unpacked, it does not know where it lies: start it with
 * `--basedir` and `--lc-messages-dir`, both found from where the command is. The backup tool of another version than the
 * server's refuses to work, so they come together.
 */
export const mariadb = debianTool({
  name: 'mariadb',
  packages: [
    'mariadb-server-core',
    'mariadb-client-core',
    'mariadb-client',
    'mariadb-common',
    'mariadb-backup',
  ],
  commands: ['mariadbd'],
  versionPattern: /Ver (\d+(?:\.\d+)+)-MariaDB/,
  // Some distributions have the server's program without what makes a data directory for it.
  isComplete: async (command) => {
    const places = [dirname(command), join(dirname(dirname(command)), 'bin'), '/usr/bin'];
    const found = await Promise.all(places.map((place) => isExecutable(join(place, 'mariadb-install-db'))));
    return found.includes(true);
  },
});
