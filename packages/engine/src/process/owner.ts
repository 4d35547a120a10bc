import { randomBytes } from 'node:crypto';
import { isAlive, processIdentity } from '@bough/toolchain/process-identity';

/**
 * Names for things that must not outlive this process: `<pid>-<start time>.<random>`. Whoever comes by later can tell
 * from the name alone whether the owner still lives.
 */
export async function ownedName(): Promise<string> {
  return `${await ownOwner()}.${randomBytes(6).toString('hex')}`;
}

async function ownOwner(): Promise<string> {
  return ((await processIdentity(process.pid)) ?? `${process.pid}:0`).replace(':', '-');
}

/** The owner in a name that ends with what `ownedName` gave. */
export function ownerOf(name: string): string | undefined {
  return /(?:^|[.])(\d+-\d+)\.[0-9a-f]{12}$/.exec(name)?.[1];
}

export async function isOwnerAlive(owner: string): Promise<boolean> {
  return isAlive(owner.replace('-', ':'));
}
