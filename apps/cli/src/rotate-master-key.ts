import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  ATTESTATION_KEY_FILE,
  type BoughHome,
  FORMER_ATTESTATION_KEYS_FILE,
  FORMER_KEYS_FILE,
  openHome,
  SIGNING_KEY_FILE,
} from '@bough/boot/home';
import { readOrMake } from '@bough/boot/private-file';
import { newAttestationKey } from '@bough/domain/attestation-key';
import type { Secret } from '@bough/domain/secret';
import { attestAnew } from '@bough/reconcile/data/attest-anew';
import { createPool, transaction } from '@bough/store/database';
import { createEncryption } from '@bough/store/encryption';
import { reencrypt } from '@bough/store/reencrypt';

/**
 * Replaces the master key and the key that signs attestations. Cut short anywhere, every value can still be read: the former key stays beside the new one
 * until the transaction that wrote everything anew is committed, and the same call goes on from there. What was derived
 * from the first master key for masks and artifacts stays as it is.
 */
export async function rotateMasterKey(options: {
  home: BoughHome;
  databaseUrl: string;
  newKey: Secret;
  /** False where the operator gives the key by a variable, and changes it there. */
  keyIsInFile: boolean;
}): Promise<{ reencrypted: number; signed: number }> {
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
  const formerAttestations = await replaceAttestationKey(home);
  const { attestationKeys } = await openHome({ path: home.path, masterKey: newKey });
  const pool = createPool({ url: options.databaseUrl, max: 1, applicationName: 'bough rotate-key' });
  try {
    const done = await transaction(pool, async (db) => {
      const reencrypted = await reencrypt(db, encryption);
      const { signed } = await attestAnew(db, attestationKeys, home.signingKey);
      return { reencrypted, signed };
    });
    await rm(formerFile, { force: true });
    await rm(formerAttestations, { force: true });
    return done;
  } finally {
    await pool.end();
  }
}

/** The one in use and those that a rotation cut short left, to the file that is read beside the new one. */
async function replaceAttestationKey({ path }: BoughHome): Promise<string> {
  const file = join(path, ATTESTATION_KEY_FILE);
  const formerFile = join(path, FORMER_ATTESTATION_KEYS_FILE);
  const earlier = await readFile(formerFile, 'utf8').catch(() => '');
  await replace(formerFile, `${(await readFile(file, 'utf8')).trim()}\n${earlier}`);
  await replace(file, `${newAttestationKey()}\n`);
  return formerFile;
}

async function replace(file: string, text: string): Promise<void> {
  await writeFile(`${file}.new`, text, { mode: 0o600, flush: true });
  await rename(`${file}.new`, file);
}
