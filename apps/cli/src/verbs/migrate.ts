import { migrate } from '@bough/boot/migrate';
import { BoughError } from '@bough/domain/bough-error';
import type { Command } from 'commander';
import { migrationsDirectory } from '../migrations-directory.ts';
import type { VerbContext } from '../verb.ts';

export function migrateVerb(program: Command, context: VerbContext): void {
  program
    .command('migrate')
    .description(
      'bring the database that DATABASE_URL names to this version; `bough serve` does so by itself at its start',
    )
    .action(async () => {
      const url = context.config.environment.DATABASE_URL;
      if (url === undefined || url === '') {
        throw new BoughError({
          code: 'configuration-invalid',
          message: 'DATABASE_URL does not say which database to migrate.',
          hint: 'Set it (postgres://user:password@host/name). The embedded database is migrated by `bough serve`.',
        });
      }
      const applied = await migrate({ url, directory: migrationsDirectory });
      context.output.result({ applied }, () =>
        applied.length === 0
          ? 'Nothing to do: the database is up to date.'
          : `Applied ${applied.join(', ')}.`,
      );
    });
}
