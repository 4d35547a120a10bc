import { rm } from 'node:fs/promises';
import { BoughError } from '@bough/domain/bough-error';
import { runTool } from '../run-tool.ts';
import { volumesBelow } from './init-pool.ts';
import { mountPool } from './mount-pool.ts';
import { isRoot, needsRoot, poolPlaces, readPool } from './pool.ts';

/** Takes the pool away; only when nothing is in it, for there is no way back. */
export async function removePool(home: string): Promise<void> {
  if ((await readPool(home)) === undefined) {
    throw new BoughError({
      code: 'storage-not-initialised',
      message: `There is no storage pool below ${home}.`,
      hint: 'See `bough storage status` for what is used instead.',
    });
  }
  if (!isRoot()) throw needsRoot('Removing the storage pool', `sudo BOUGH_HOME=${home} bough storage remove`);
  const { directory, mountPoint } = poolPlaces(home);
  // What is in it can only be seen when it is mounted.
  await mountPool(home);
  const volumes = await volumesBelow(mountPoint);
  if (volumes.length > 0) {
    throw new BoughError({
      code: 'storage-in-use',
      message: `The pool holds ${volumes.length} volumes and snapshots.`,
      hint: 'Remove all environments first: bough project remove, then wait until `bough storage status` shows none.',
    });
  }
  const result = await runTool('umount', [mountPoint]);
  if (!result.ok) {
    throw new BoughError({
      code: 'storage-busy',
      message: `The pool cannot be unmounted: ${result.stderr.split('\n')[0]}`,
      hint: `Stop what uses it: bough down; then look at who has files open below ${mountPoint} (fuser -vm).`,
    });
  }
  await rm(directory, { recursive: true, force: true });
}
