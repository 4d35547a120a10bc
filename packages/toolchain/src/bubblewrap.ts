import { debianTool } from './debian-tool.ts';

/** `bwrap`, which gives every build and workload its own namespaces. */
export const bubblewrap = debianTool({
  name: 'bubblewrap',
  packages: ['bubblewrap'],
  commands: ['bwrap'],
  versionPattern: /^bubblewrap (\d+(?:\.\d+)+)/m,
});
