import { createHmac, randomBytes } from 'node:crypto';
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { WorkloadSpec } from '../engine.ts';
import { canonicalSpec } from '../variables.ts';
import { ownedName } from './owner.ts';

/**
 * Equal for equal specs. Keyed, because the digest is shown and stored while the spec holds secrets: without the key,
 * short ones could be found by trying.
 */
export async function digestSpec(home: string, spec: WorkloadSpec): Promise<string> {
  const key = await digestKey(join(home, 'engine'));
  return createHmac('sha256', key).update(canonicalSpec(spec)).digest('hex').slice(0, 32);
}

async function digestKey(directory: string): Promise<Buffer> {
  const file = join(directory, 'digest-key');
  const known = await readFile(file).catch(() => undefined);
  if (known) return known;
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const aside = `${file}.${await ownedName()}`;
  await writeFile(aside, randomBytes(32), { mode: 0o600 });
  // Whoever links first has chosen the key.
  await link(aside, file).catch(() => undefined);
  await rm(aside, { force: true });
  return readFile(file);
}
