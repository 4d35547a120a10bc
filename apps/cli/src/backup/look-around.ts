import { readdir } from 'node:fs/promises';
import type { BoughHome } from '@bough/boot/home';
import type { BootLog } from '@bough/boot/logger';
import { mountPool } from '@bough/storage/pool/mount-pool';
import { chooseStorage } from '@bough/storage/probe';
import type { WhatIsHere } from './settle-restored.ts';

/** What this machine has of an installation's volumes, goldens and artifacts. */
export async function lookAround(home: BoughHome, installationId: string, log: BootLog): Promise<WhatIsHere> {
  await mountPool(home.path);
  const { storage } = await chooseStorage({
    root: home.directories.volumes,
    want: 'auto',
    installationId,
    log,
  });
  const volumes = await storage.list();
  const snapshots = await storage.listSnapshots();
  return {
    volumes: volumes.map(({ id, labels }) => ({ id, environmentId: labels.environmentId })),
    snapshots: new Set(snapshots.map(({ id }) => id)),
    artifacts: new Set(await readdir(home.directories.artifacts)),
  };
}
