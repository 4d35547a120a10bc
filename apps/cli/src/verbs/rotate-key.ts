import { readFile } from 'node:fs/promises';
import { claimHome, newMasterKey, openHome, requireHome } from '@bough/boot/home';
import { BoughError } from '@bough/domain/bough-error';
import { Secret } from '@bough/domain/secret';
import type { Command } from 'commander';
import { rotateMasterKey } from '../rotate-master-key.ts';
import type { VerbContext } from '../verb.ts';
import { withDatabase } from '../with-database.ts';

/** `bough secret rotate-key`: both keys are replaced, stored secrets are encrypted and goldens signed anew. */
export function rotateKeyVerb(secrets: Command, context: VerbContext): void {
  secrets
    .command('rotate-key')
    .description(
      'replace the master key and the attestation key, encrypt secrets and sign goldens anew, with `bough serve` stopped',
    )
    .option(
      '--new-key <file>',
      'the new key (32 bytes in base64), where BOUGH_MASTER_KEY gives the present one',
    )
    .action(async (options: { newKey?: string }) => {
      const { BOUGH_MASTER_KEY: given } = context.config.environment;
      const isGiven = given !== undefined && given !== '';
      if (isGiven !== (options.newKey !== undefined)) throw wrongPlace(isGiven);
      await requireHome(context.config.home);
      const home = await openHome({
        path: context.config.home,
        masterKey: isGiven ? new Secret(given) : undefined,
      });
      const newKey = new Secret(
        options.newKey === undefined ? newMasterKey() : (await readFile(options.newKey, 'utf8')).trim(),
      );
      const release = await claimHome(home.path);
      try {
        const done = await withDatabase(context, home, (databaseUrl) =>
          rotateMasterKey({ home, databaseUrl, newKey, keyIsInFile: !isGiven }),
        );
        const next = isGiven ? 'Start Bough with the new BOUGH_MASTER_KEY.' : 'Start `bough serve`.';
        context.output.result(
          done,
          () =>
            `${done.reencrypted} value(s) encrypted and ${done.signed} golden(s) signed anew. ${next} Backups taken before need the key of then.`,
        );
      } finally {
        await release();
      }
    });
}

function wrongPlace(isGiven: boolean): BoughError {
  return new BoughError({
    code: 'usage',
    message: isGiven
      ? 'BOUGH_MASTER_KEY gives the key, so Bough cannot put a new one in its place.'
      : '--new-key is for installations whose key comes from BOUGH_MASTER_KEY.',
    hint: isGiven
      ? 'Write a new key to a file (`openssl rand -base64 32`), add --new-key <file>, and set BOUGH_MASTER_KEY to it afterwards.'
      : 'Leave it out: the new key is made and written to BOUGH_HOME/master-key.',
  });
}
