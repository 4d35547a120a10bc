import { link, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { isOwnerAlive, ownedName, ownerOf } from './owner.ts';

const pollMs = 50;

/**
 * Waits for a lock between processes and returns its release. A lock of a dead process is taken over. It only spares
 * double work: what it guards is published by a rename that one of two can win, so a lock lost does no harm.
 */
export async function takeLock(file: string, signal: AbortSignal | undefined): Promise<() => Promise<void>> {
  const own = await ownedName();
  const aside = `${file}.${own}`;
  await writeFile(aside, own, { mode: 0o600 });
  try {
    while (!(await claim(aside, file))) {
      signal?.throwIfAborted();
      const holder = await readFile(file, 'utf8').catch(() => undefined);
      if (holder !== undefined && !(await holds(holder))) await takeAway(file, holder, own);
      else await delay(pollMs, undefined, signal ? { signal } : {}).catch(() => undefined);
    }
  } finally {
    await rm(aside, { force: true });
  }
  return async () => {
    if ((await readFile(file, 'utf8').catch(() => '')) === own) await rm(file, { force: true });
  };
}

async function claim(aside: string, file: string): Promise<boolean> {
  return link(aside, file).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'EEXIST') return false;
      throw error;
    },
  );
}

async function holds(holder: string): Promise<boolean> {
  const owner = ownerOf(holder);
  return owner !== undefined && (await isOwnerAlive(owner));
}

/** Renamed first: of two that saw the dead holder, one moves it; the other may have moved a new one and gives it back. */
async function takeAway(file: string, holder: string, own: string): Promise<void> {
  const moved = `${file}.stale.${own}`;
  if (
    await rename(file, moved).then(
      () => false,
      () => true,
    )
  )
    return;
  if ((await readFile(moved, 'utf8').catch(() => holder)) !== holder)
    await link(moved, file).catch(() => undefined);
  await rm(moved, { force: true });
}
