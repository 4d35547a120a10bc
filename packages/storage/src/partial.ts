import { randomBytes } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { lifeOf, processIdentity } from './process-identity.ts';

const partialPattern = /^\.partial-(\d+:\d+:\d+)-[0-9a-f]{8}$/;
/** What a process that cannot be seen from here (in another container) has not finished by then, it never will. */
const unseenAgeMaxMs = 24 * 60 * 60_000;

/** A name for something that this process is making or removing. */
export async function partialName(): Promise<string> {
  return `.partial-${await processIdentity(process.pid)}-${randomBytes(4).toString('hex')}`;
}

/** Whether the thing is a partial one whose process is gone. */
export async function isAbandoned(directory: string, name: string): Promise<boolean> {
  const owner = partialPattern.exec(name)?.[1];
  if (owner === undefined) return false;
  const life = await lifeOf(owner);
  if (life !== 'unknown') return life === 'dead';
  const made = await stat(join(directory, name)).catch(() => undefined);
  return made === undefined || Date.now() - made.ctimeMs >= unseenAgeMaxMs;
}
