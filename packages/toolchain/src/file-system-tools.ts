import { debianTool } from './debian-tool.ts';

/** `btrfs` and `mkfs.btrfs`: subvolumes, snapshots and the pool of `bough storage init`. */
export const btrfsProgs = debianTool({
  name: 'btrfs-progs',
  packages: ['btrfs-progs'],
  commands: ['btrfs'],
  versionPattern: /^btrfs-progs v(\d+(?:\.\d+)+)/m,
});

/** `mkfs.xfs`, for that pool where the kernel has no btrfs. */
export const xfsProgs = debianTool({
  name: 'xfsprogs',
  packages: ['xfsprogs'],
  commands: ['mkfs.xfs'],
  versionFlag: '-V',
  versionPattern: /^mkfs\.xfs version (\d+(?:\.\d+)+)/m,
});
