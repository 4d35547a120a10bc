import { dirname, join } from 'node:path';
import { debianTool } from './debian-tool.ts';
import { runCommand } from './run-command.ts';
import { isExecutable } from './search-path.ts';

/** git with its HTTP helpers: Bough fetches over HTTPS, and the sandbox forge serves over HTTP. */
export const git = debianTool({
  name: 'git',
  packages: ['git'],
  commands: ['git'],
  versionPattern: /^git version (\d+(?:\.\d+)+)/m,
  isComplete: async (command) => {
    const env = { PATH: dirname(command) };
    const result = await runCommand(command, ['--exec-path'], { env, timeoutMs: 10_000 });
    return result.ok && (await isExecutable(join(result.stdout.trim(), 'git-remote-https')));
  },
  env: (directory) => ({
    GIT_EXEC_PATH: join(directory, 'usr/lib/git-core'),
    GIT_TEMPLATE_DIR: join(directory, 'usr/share/git-core/templates'),
  }),
});
