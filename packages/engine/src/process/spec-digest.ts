import { createHmac, randomBytes } from 'node:crypto';
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { WorkloadSpec } from '../engine.ts';
import { ownedName } from './owner.ts';
import { reveal } from './surroundings.ts';

/**
 * Equal for equal specs. Keyed, because the digest is shown and stored while the spec holds secrets: without the key,
 * short ones could be found by trying.
 */
export async function digestSpec(home: string, spec: WorkloadSpec): Promise<string> {
  const key = await digestKey(join(home, 'engine'));
  const whole = { ...spec, env: reveal(spec.env) };
  return createHmac('sha256', key).update(canonical(whole)).digest('hex').slice(0, 32);
}

/** JSON with the keys of objects in order; lists keep theirs. */
export function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const entries = Object.entries(value).filter(([, field]) => field !== undefined);
  const fields = entries
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, field]) => `${JSON.stringify(name)}:${canonical(field)}`);
  return `{${fields.join(',')}}`;
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
