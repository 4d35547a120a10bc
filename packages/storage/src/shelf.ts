import { chmod, mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { BoughError } from '@bough/domain/bough-error';
import { isAbandoned, partialName } from './partial.ts';
import type { StorageLabels } from './storage.ts';

/** What is written beside the data, so that things can be listed without a database. */
export interface ShelfRecord {
  readonly id: string;
  readonly labels: StorageLabels;
  readonly createdAt: Date;
  /** The snapshot that a volume was cloned from. */
  readonly from?: string;
  /** The volume that a snapshot was taken of. */
  readonly volumeId?: string;
  readonly sizeBytes?: number;
}

export interface ShelfEntry extends ShelfRecord {
  /** The directory with the data. */
  readonly path: string;
}

/**
 * A directory of labelled directories, each either complete or not there.
 *
 *     <directory>/<id>/data            what it holds
 *     <directory>/<id>/labels.json     what it is
 *     <directory>/.partial-<process>-… something being made or being removed
 *
 * Things are made and removed under a `.partial-` name, and one rename publishes or withdraws them; so a process that
 * is killed leaves nothing that looks whole, and `sweep` can tell whose partial things nobody works on any more.
 */
export interface Shelf {
  list(): Promise<ShelfEntry[]>;
  find(id: string): Promise<ShelfEntry | undefined>;
  /** `fill` makes the data at the path given. When somebody else published the id meanwhile, theirs is returned. */
  publish(
    id: string,
    fill: (dataPath: string) => Promise<Omit<ShelfRecord, 'id' | 'createdAt'>>,
  ): Promise<ShelfEntry>;
  withdraw(id: string): Promise<void>;
  sweep(): Promise<void>;
}

export interface ShelfOptions {
  readonly directory: string;
  /** Removes a data directory, or what exists of one. */
  readonly erase: (dataPath: string) => Promise<void>;
}

const idPattern = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

export function openShelf(options: ShelfOptions): Shelf {
  async function eraseEntry(directory: string): Promise<void> {
    await chmod(directory, 0o700);
    await options.erase(join(directory, 'data'));
    await rm(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
  }

  async function withPartial<Result>(work: (directory: string) => Promise<Result>): Promise<Result> {
    await mkdir(options.directory, { recursive: true, mode: 0o700 });
    const directory = join(options.directory, await partialName());
    try {
      return await work(directory);
    } finally {
      await eraseIfThere(directory);
    }
  }

  async function eraseIfThere(directory: string): Promise<void> {
    await eraseEntry(directory).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
    });
  }

  async function find(id: string): Promise<ShelfEntry | undefined> {
    checkId(id);
    return readEntry(join(options.directory, id), id);
  }

  return {
    find,

    async list() {
      const names = await readdir(options.directory).catch(emptyWhenAbsent);
      const entries = await Promise.all(names.filter((name) => idPattern.test(name)).map(find));
      return entries.filter((entry) => entry !== undefined).sort((a, b) => (a.id < b.id ? -1 : 1));
    },

    async publish(id, fill) {
      checkId(id);
      return withPartial(async (partial) => {
        await mkdir(partial, { mode: 0o700 });
        const record = { id, createdAt: new Date(), ...(await fill(join(partial, 'data'))) };
        await writeSynced(join(partial, 'labels.json'), `${JSON.stringify(record, null, 2)}\n`);
        await rename(partial, join(options.directory, id)).catch(ignoreTaken);
        const entry = await find(id);
        if (!entry) throw removedMeanwhile(id);
        return entry;
      });
    },

    async withdraw(id) {
      checkId(id);
      await withPartial((partial) =>
        rename(join(options.directory, id), partial).catch((error: NodeJS.ErrnoException) => {
          if (error.code !== 'ENOENT') throw error;
        }),
      );
    },

    async sweep() {
      for (const name of await readdir(options.directory).catch(emptyWhenAbsent)) {
        if (await isAbandoned(options.directory, name)) await eraseIfThere(join(options.directory, name));
      }
    },
  };
}

async function readEntry(directory: string, id: string): Promise<ShelfEntry | undefined> {
  const file = join(directory, 'labels.json');
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  const record = parseRecord(text);
  if (record?.id !== id) throw damaged(file);
  return { ...record, path: join(directory, 'data') };
}

function parseRecord(text: string): ShelfRecord | undefined {
  try {
    const record = JSON.parse(text) as ShelfRecord & { createdAt: string };
    const createdAt = new Date(record.createdAt);
    const labels: Partial<StorageLabels> = record.labels;
    const whole = labels.installationId && labels.environmentId && labels.name && labels.kind;
    return whole && !Number.isNaN(createdAt.getTime()) ? { ...record, createdAt } : undefined;
  } catch {
    return undefined;
  }
}

/** The labels survive a power cut right after the rename that publishes them. */
async function writeSynced(path: string, text: string): Promise<void> {
  const file = await open(path, 'wx', 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}

function ignoreTaken(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
}

function emptyWhenAbsent(error: NodeJS.ErrnoException): string[] {
  if (error.code === 'ENOENT') return [];
  throw error;
}

function checkId(id: string): void {
  if (idPattern.test(id)) return;
  throw new BoughError({
    code: 'storage-id-malformed',
    message: `"${id.slice(0, 80)}" cannot be the id of a volume or snapshot.`,
    hint: 'Ids have lower case letters, digits and hyphens, at most 63; make them with volumeId().',
  });
}

function damaged(file: string): BoughError {
  return new BoughError({
    code: 'storage-damaged',
    message: `The labels in ${file} cannot be read, so Bough does not know what this data is.`,
    hint: 'Restore the file from a backup, or move its directory away if the data is no longer wanted.',
  });
}

function removedMeanwhile(id: string): BoughError {
  return new BoughError({
    code: 'storage-conflict',
    message: `${id} was removed while it was being made.`,
    hint: 'Try again.',
    retryable: true,
  });
}
