import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, rmdir, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { isAbandoned, partialName } from './partial.ts';
import type { WarmCopies } from './storage.ts';

/** What stays free on the disk whatever is copied ahead: a copy is a convenience and must not fill a disk. */
const freeShareMin = 0.1;
const completePattern = /^[0-9a-f]{8}-[0-9a-f]{16}$/;
/** No more is kept than this, whatever is configured. */
export const copiesMax = 16;

/** After a copy was taken: the preview that took it is about to start, and is to have the machine to itself. */
const restMs = 1_000;

export interface WarmPoolOptions {
  /** `<directory>/<snapshot>/<boot>-<hex>` is a complete copy; beside it `.partial-…` is one that is being made. */
  readonly directory: string;
  /** How many of each snapshot wait to be taken. */
  readonly copies: number;
  readonly find: (snapshotId: string) => Promise<{ path: string; sizeBytes?: number } | undefined>;
  readonly copy: (source: string, target: string, signal: AbortSignal) => Promise<void>;
  /** False: a copy shares its blocks with the snapshot. */
  readonly costsBytes: boolean;
  readonly erase: (path: string) => Promise<void>;
}

export interface WarmPool extends WarmCopies {
  /** Moves a waiting copy to `target`, which must be absent. False when there is none. */
  take(snapshotId: string, target: string): Promise<boolean>;
  /** Removes what waits of a snapshot that goes, and stops making more. */
  drop(snapshotId: string): Promise<void>;
}

/**
 * Copies of snapshots, made ahead in the background, one at a time: a preview then waits for a rename, where a clone would
 * cost its bytes, or a thousand files, or a process and a commit of the file system. Several processes may work on one directory: a copy is taken by one rename and
 * published by another, and what a dead process was making is removed. Copies are not flushed to the disk, for that would
 * make everybody wait who writes there; so none is used that was made before the machine last started.
 */
export function createWarmPool(options: WarmPoolOptions): WarmPool {
  const copies = Math.min(options.copies, copiesMax);
  const folderOf = (snapshotId: string) => join(options.directory, snapshotId);
  let wanted: readonly string[] | undefined;
  let making: { snapshotId: string; stop: AbortController; done: Promise<void> } | undefined;
  let failure: string | undefined;
  let isDirty = false;
  let work: Promise<void> | undefined;
  let rest: NodeJS.Timeout | undefined;

  function nudge(): void {
    clearTimeout(rest);
    rest = undefined;
    isDirty = true;
    work ??= fill().finally(() => {
      work = undefined;
    });
  }

  async function fill(): Promise<void> {
    while (isDirty && wanted !== undefined) {
      isDirty = false;
      failure = undefined;
      try {
        await trim(wanted);
        for (const snapshotId of wanted) await fillOne(snapshotId);
      } catch (error) {
        // The next take or `keep` tries again; until then clones are copied while somebody waits, which works too.
        failure = error instanceof Error ? error.message : String(error);
      }
    }
  }

  async function fillOne(snapshotId: string): Promise<void> {
    for (let made = 0; made < copies && !isDirty && wanted?.includes(snapshotId); made += 1) {
      const source = await options.find(snapshotId);
      if (source === undefined || (await waiting(snapshotId)).length >= copies) return;
      failure = await whyNoRoom(options.directory, options.costsBytes ? (source.sizeBytes ?? 0) : 0);
      if (failure !== undefined) return;
      await makeOne(snapshotId, source.path).catch(async (error: unknown) => {
        // One that was removed meanwhile is no failure.
        if ((await options.find(snapshotId)) !== undefined) throw error;
      });
    }
  }

  async function makeOne(snapshotId: string, source: string): Promise<void> {
    const stop = new AbortController();
    const done = copyInto(folderOf(snapshotId), source, stop.signal);
    making = { snapshotId, stop, done: done.catch(() => {}) };
    await done.finally(() => {
      making = undefined;
    });
  }

  async function copyInto(folder: string, source: string, signal: AbortSignal): Promise<void> {
    const partial = join(folder, await partialName());
    try {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      await options.copy(source, partial, signal);
      signal.throwIfAborted();
      await rename(partial, join(folder, `${await bootId()}-${randomBytes(8).toString('hex')}`));
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      await options.erase(partial);
    }
  }

  /** Removes the copies of snapshots that are not wanted any more, and what dead processes left. */
  async function trim(kept: readonly string[]): Promise<void> {
    for (const snapshotId of await names(options.directory)) {
      const folder = folderOf(snapshotId);
      if (!kept.includes(snapshotId) || (await options.find(snapshotId)) === undefined) {
        await eraseFolder(folder);
        continue;
      }
      for (const name of await names(folder)) {
        const isStale = completePattern.test(name) && !name.startsWith(await bootId());
        if (isStale || (await isAbandoned(folder, name))) await options.erase(join(folder, name));
      }
    }
  }

  /** One copy after the other, each in the way of its kind; the folder itself is an ordinary directory. */
  async function eraseFolder(folder: string): Promise<void> {
    for (const name of await names(folder)) await options.erase(join(folder, name));
    await rm(folder, { recursive: true, force: true });
  }

  async function waiting(snapshotId: string): Promise<string[]> {
    const boot = await bootId();
    const all = await names(folderOf(snapshotId));
    return all.filter((name) => completePattern.test(name) && name.startsWith(boot));
  }

  return {
    keep(snapshotIds) {
      wanted = copies === 0 ? [] : [...snapshotIds];
      if (making !== undefined && !wanted.includes(making.snapshotId)) making.stop.abort();
      nudge();
    },

    async state() {
      const ready: Record<string, number> = {};
      for (const snapshotId of await names(options.directory)) {
        ready[snapshotId] = (await waiting(snapshotId)).length;
      }
      return { ready, ...(failure === undefined ? {} : { failure }) };
    },

    async settled() {
      if (rest !== undefined) nudge();
      while (work !== undefined) await work;
    },

    async close() {
      wanted = undefined;
      clearTimeout(rest);
      rest = undefined;
      making?.stop.abort();
      await work;
    },

    async take(snapshotId, target) {
      for (const name of await waiting(snapshotId)) {
        const isTaken = await rename(join(folderOf(snapshotId), name), target).then(
          () => true,
          (error: NodeJS.ErrnoException) => {
            if (error.code === 'ENOENT') return false;
            throw error;
          },
        );
        if (!isTaken) continue;
        if (wanted !== undefined) rest ??= setTimeout(nudge, restMs);
        return true;
      }
      return false;
    },

    async drop(snapshotId) {
      wanted = wanted?.filter((id) => id !== snapshotId);
      if (making?.snapshotId === snapshotId) {
        making.stop.abort();
        await making.done;
      }
      await eraseFolder(folderOf(snapshotId));
      // The last one leaves nothing behind; while there are others this fails, as it should.
      await rmdir(options.directory).catch(() => {});
    },
  };
}

/** Another one after each start of the machine. */
async function bootId(): Promise<string> {
  return (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).slice(0, 8);
}

async function whyNoRoom(directory: string, sizeBytes: number): Promise<string | undefined> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const { bavail, blocks, bsize } = await statfs(directory);
  const left = bavail * bsize - sizeBytes;
  if (left >= Math.max(sizeBytes, blocks * bsize * freeShareMin)) return undefined;
  return 'the disk has no room for copies made ahead, so a clone waits for its copy';
}

async function names(directory: string): Promise<string[]> {
  return readdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
}
