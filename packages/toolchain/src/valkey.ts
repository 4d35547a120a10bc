import { debianTool } from './debian-tool.ts';

/** `valkey-server`. Debian has it from 13 on, and in the backports of 12. */
export const valkey = debianTool({
  name: 'valkey',
  packages: ['valkey-server', 'valkey-tools'],
  commands: ['valkey-server'],
  versionPattern: /server v=(\d+(?:\.\d+)+)/,
  hint: 'Install valkey-server on this machine (Debian 13 and the backports of 12 have it), or ask for redis, which speaks the same protocol.',
});
