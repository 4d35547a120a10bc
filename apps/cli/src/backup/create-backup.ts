import { cp, mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { dumpDatabase } from '@bough/boot/dump-database';
import type { BoughHome } from '@bough/boot/home';
import { pack, withScratch } from './archive.ts';
import { type BackupContents, homeFiles } from './contents.ts';

/** Writes Bough's own state to one file while Bough goes on working. Volumes are not in it. */
export async function createBackup(options: {
  home: BoughHome;
  databaseUrl: string;
  volumes: BackupContents['volumes'];
  /** `-`: standard output. */
  file: string;
}): Promise<BackupContents> {
  const { home } = options;
  return await withScratch(home.directories.tmp, async (scratch) => {
    const database = await dumpDatabase({ url: options.databaseUrl, directory: join(scratch, 'database') });
    const files: string[] = [];
    for (const name of homeFiles) {
      if (await copyIfThere(join(home.path, name), join(scratch, 'home', name))) files.push(name);
    }
    const contents: BackupContents = {
      format: 1,
      createdAt: new Date().toISOString(),
      installationId: home.installationId,
      database,
      volumes: options.volumes,
      files,
    };
    await writeFile(join(scratch, 'backup.json'), JSON.stringify(contents, null, 2));
    await pack(scratch, options.file);
    return contents;
  });
}

/** A key that the operator keeps in a variable has no file, and is not in the backup. */
export async function copyIfThere(from: string, to: string): Promise<boolean> {
  await mkdir(dirname(to), { recursive: true, mode: 0o700 });
  return await cp(from, to, { recursive: true }).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return false;
      throw error;
    },
  );
}
