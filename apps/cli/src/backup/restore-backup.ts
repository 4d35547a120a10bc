import { chmod } from 'node:fs/promises';
import { join } from 'node:path';
import { ATTESTATION_KEY_FILE, type BoughHome } from '@bough/boot/home';
import { loadDatabase } from '@bough/boot/load-database';
import { BoughError } from '@bough/domain/bough-error';
import { unpack, withScratch } from './archive.ts';
import { type BackupContents, readContents } from './contents.ts';
import { copyIfThere } from './create-backup.ts';
import { type Settled, settleRestored, type WhatIsHere } from './settle-restored.ts';

/**
 * Puts a backup into an empty database and this `BOUGH_HOME`. The rows come in one transaction; the keys are written
 * before it, so that after a crash in between the same call does it all again.
 */
export async function restoreBackup(options: {
  home: BoughHome;
  databaseUrl: string;
  file: string;
  migrationsDirectory: string;
  /** What this machine has of an installation. */
  look: (installationId: string) => Promise<WhatIsHere>;
  /** Go on although volumes are gone. */
  withoutData: boolean;
}): Promise<{ contents: BackupContents; settled: Settled }> {
  const { home } = options;
  return await withScratch(home.directories.tmp, async (scratch) => {
    await unpack(options.file, scratch);
    const contents = await readContents(scratch);
    if (home.installationId !== contents.installationId)
      refuseOtherHome(home, contents, await options.look(home.installationId));
    const here = await options.look(contents.installationId);
    let settled: Settled | undefined;
    await loadDatabase({
      url: options.databaseUrl,
      migrationsDirectory: options.migrationsDirectory,
      dump: contents.database,
      directory: join(scratch, 'database'),
      settle: async (client) => {
        settled = await settleRestored(client, here, {
          volumes: contents.volumes,
          withoutData: options.withoutData,
        });
        for (const name of contents.files) {
          await copyIfThere(join(scratch, 'home', name), join(home.path, name));
        }
        for (const key of ['master-key', ATTESTATION_KEY_FILE])
          await chmod(join(home.path, key), 0o600).catch(() => undefined);
      },
    });
    return { contents, settled: settled ?? { lostVolumes: [], redeployed: 0 } };
  });
}

/** Volumes carry the id of the installation that made them: under another id nobody would own them. */
function refuseOtherHome(home: BoughHome, contents: BackupContents, here: WhatIsHere): void {
  if (here.volumes.length === 0) return;
  throw new BoughError({
    code: 'restore-occupied',
    message: `${home.path} holds ${here.volumes.length} volume(s) of another installation (${home.installationId}; the backup is of ${contents.installationId}).`,
    hint: 'Restore into a BOUGH_HOME of its own. Nothing was changed.',
  });
}
