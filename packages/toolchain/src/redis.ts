import { debianTool } from './debian-tool.ts';

/** `redis-server`, or Valkey's server, which speaks the same protocol; the version asked for must be the server's own. */
export const redis = debianTool({
  name: 'redis',
  packages: ['redis-server', 'redis-tools'],
  commands: ['redis-server', 'valkey-server'],
  versionPattern: /server v=(\d+(?:\.\d+)+)/,
});
