import { claimHome, openHome, requireHome } from '@bough/boot/home';
import { createLogger } from '@bough/boot/logger';
import type { Command } from 'commander';
import { createBackup } from '../backup/create-backup.ts';
import { lookAround } from '../backup/look-around.ts';
import { restoreBackup } from '../backup/restore-backup.ts';
import { migrationsDirectory } from '../migrations-directory.ts';
import type { VerbContext } from '../verb.ts';
import { withDatabase } from '../with-database.ts';

/** What a backup leaves out, in the words that both verbs end with. */
const WITHOUT_VOLUMES =
  'Volumes and artifacts are not in it: back up BOUGH_HOME/volumes with the disk (a snapshot), or lose production’s data with it.';

export function backupVerbs(program: Command, context: VerbContext): void {
  const log = createLogger({ level: 'warn' });
  const verbs = program
    .command('backup')
    .description('Bough’s own state: its database, its keys and who it is');

  verbs
    .command('create <file>')
    .description(
      'write it to a file, or to standard output by `-`, while Bough runs; the file is as secret as the keys in it',
    )
    .action(async (file: string) => {
      await requireHome(context.config.home);
      const home = await openHome({ path: context.config.home });
      const contents = await withDatabase(context, home, async (databaseUrl) => {
        const { volumes } = await lookAround(home, home.installationId, log);
        return await createBackup({ home, databaseUrl, volumes: [...volumes], file });
      });
      const rows = Object.values(contents.database.tables).reduce((sum, count) => sum + count, 0);
      const said = `${rows} rows and ${contents.files.join(', ')} written to ${file}. ${withoutKey(contents.files)}${WITHOUT_VOLUMES}`;
      if (file === '-') process.stderr.write(`${said}\n`);
      else context.output.result({ file, rows, files: contents.files }, () => said);
    });

  verbs
    .command('restore <file>')
    .description('into an empty BOUGH_HOME or database, with `bough serve` stopped')
    .option(
      '--without-data',
      'go on although volumes are gone: previews get theirs anew, production starts empty',
    )
    .action(async (file: string, options: { withoutData?: true }) => {
      const home = await openHome({ path: context.config.home });
      const release = await claimHome(home.path);
      try {
        const { contents, settled } = await withDatabase(context, home, (databaseUrl) =>
          restoreBackup({
            home,
            databaseUrl,
            file,
            migrationsDirectory,
            look: (installationId) => lookAround(home, installationId, log),
            withoutData: options.withoutData === true,
          }),
        );
        const lost =
          settled.lostVolumes.length === 0 ? '' : ` Without data: ${settled.lostVolumes.join(', ')}.`;
        context.output.result(
          { createdAt: contents.createdAt, ...settled },
          () =>
            `Restored the state of ${contents.createdAt}.${lost} ${settled.redeployed} environment(s) will be deployed anew. ${withoutKey(contents.files)}Start \`bough serve\`.`,
        );
      } finally {
        await release();
      }
    });
}

function withoutKey(files: readonly string[]): string {
  return files.includes('master-key')
    ? ''
    : 'The master key is not in it, because BOUGH_MASTER_KEY gives it: keep that too. ';
}
