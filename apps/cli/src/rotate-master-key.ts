import { rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type BoughHome, FORMER_KEYS_FILE, SIGNING_KEY_FILE } from '@bough/boot/home';
import { readOrMake } from '@bough/boot/private-file';
import type { Secret } from '@bough/domain/secret';
import { createPool, transaction } from '@bough/store/database';
import { createEncryption } from '@bough/store/encryption';
import { reencrypt } from '@bough/store/reencrypt';

/**
 * Replaces the master key. Cut short anywhere, every value can still be read: the former key stays beside the new one
 * until the transaction that wrote everything anew is committed, and the same call goes on from there. What was derived
 * from the first master key to sign and to mask stays as it is.
 */
export async function rotateMasterKey(options: {
  home: BoughHome;
  databaseUrl: string;
  newKey: Secret;
  /** False where the operator gives the key by a variable, and changes it there. */
  keyIsInFile: boolean;
}): Promise<number> {
  const { home, newKey } = options;
  const former = [home.masterKey, ...home.formerMasterKeys];
  // Checks the new key before anything is written.
  const encryption = createEncryption({ current: newKey, former });
  await readOrMake(join(home.path, SIGNING_KEY_FILE), () => home.signingKey.reveal());
  const formerFile = join(home.path, FORMER_KEYS_FILE);
  if (options.keyIsInFile) {
    await replace(formerFile, former.map((key) => `${key.reveal()}\n`).join(''));
    await replace(join(home.path, 'master-key'), `${newKey.reveal()}\n`);
  }
  const pool = createPool({ url: options.databaseUrl, max: 1, applicationName: 'bough rotate-key' });
  try {
    const count = await transaction(pool, (db) => reencrypt(db, encryption));
    await rm(formerFile, { force: true });
    return count;
  } finally {
    await pool.end();
  }
}

async function replace(file: string, text: string): Promise<void> {
  await writeFile(`${file}.new`, text, { mode: 0o600, flush: true });
  await rename(`${file}.new`, file);
}
