import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseDump } from '@bough/boot/dump-database';
import {
  ATTESTATION_KEY_FILE,
  FORMER_ATTESTATION_KEYS_FILE,
  FORMER_KEYS_FILE,
  SIGNING_KEY_FILE,
} from '@bough/boot/home';
import { BoughError } from '@bough/domain/bough-error';
import { z } from 'zod';

/** `backup.json`, beside `database/*.jsonl` and `home/<file>`. */
export const BackupContents = z.object({
  format: z.literal(1),
  createdAt: z.iso.datetime(),
  installationId: z.string().min(1),
  database: DatabaseDump,
  /** The volumes that there were. They are not in it; restoring says which are not there. */
  volumes: z.array(z.object({ id: z.string(), environmentId: z.string() })),
  /** Files of `BOUGH_HOME` that are in it. */
  files: z.array(z.string()),
});
export type BackupContents = z.infer<typeof BackupContents>;

/**
 * What of `BOUGH_HOME` cannot be made again: the keys that stored secrets and attestations are read with, who this
 * installation is, and the exact versions of toolchains that environments run on.
 */
export const homeFiles = [
  'installation-id',
  'master-key',
  FORMER_KEYS_FILE,
  SIGNING_KEY_FILE,
  ATTESTATION_KEY_FILE,
  FORMER_ATTESTATION_KEYS_FILE,
  'admin-token',
  'toolchains/remembered',
] as const;

export async function readContents(directory: string): Promise<BackupContents> {
  const text = await readFile(join(directory, 'backup.json'), 'utf8').catch(() => '{}');
  const parsed = BackupContents.safeParse(parseJson(text));
  if (parsed.success) return parsed.data;
  throw new BoughError({
    code: 'backup-unreadable',
    message: 'The archive is not a backup of Bough, or one of a version that this one does not know.',
    hint: 'Give the file that `bough backup create` wrote, to a Bough that is not older than the one that wrote it.',
    cause: parsed.error,
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
