import { stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { BoughError } from '@bough/domain/bough-error';
import type { ToolPlaces } from './run-tool.ts';
import { openShelf, type Shelf, type ShelfEntry } from './shelf.ts';
import { sizeWords } from './size-words.ts';
import type { Snapshot, SnapshotHooks, SnapshotSpec, Storage, Volume, VolumeSpec } from './storage.ts';
import { treeSizeBytes } from './tree-size.ts';
import { createWarmPool } from './warm-pool.ts';

/** The part in which storages on a local file system differ: how a directory tree comes to be, is copied and goes. */
export interface Trees {
  readonly kind: Storage['kind'];
  readonly atomic: boolean;
  /** An empty tree at a path that is absent. */
  create(path: string): Promise<void>;
  /** A writable copy of a frozen tree. */
  clone(source: string, target: string): Promise<void>;
  /** A writable copy of a tree that is being written to. */
  copyLive(source: string, target: string): Promise<void>;
  /**
   * Nothing more will be written: read-only where the file system can. `durable`: complete on the disk when this
   * returns, so that no power cut leaves a labelled snapshot with holes in it.
   */
  freeze(path: string, options: { durable: boolean }): Promise<void>;
  /** Removes a tree, frozen, half-made or absent. */
  erase(path: string): Promise<void>;
  usage(path: string): Promise<{ exclusiveBytes: number; exact: boolean }>;
  /** As `clone`, in the background; absent where copies made ahead would spare nothing. */
  cloneAhead?(source: string, target: string, signal: AbortSignal): Promise<void>;
  /** A clone takes as much space as what it is of. */
  readonly costsBytes?: boolean;
}

export interface DirectoryStorageOptions {
  /** Everything is below it; made when absent, private to its owner. */
  readonly root: string;
  readonly installationId: string;
  /** Copies of each wanted snapshot that wait to be taken; 0 for none. */
  readonly warmCopies?: number;
  /** Where the commands of a file system are that the machine's own directories do not have. */
  readonly places?: ToolPlaces | undefined;
}

/** Of what shares its blocks, some more cost next to nothing. */
const defaultWarmCopies = { whole: 2, sharing: 4 } as const;

/** Volumes and snapshots as directories below one root; `trees` does the copying. */
export function createDirectoryStorage(trees: Trees, options: DirectoryStorageOptions): Storage {
  const shelfOf = (name: string) => openShelf({ directory: join(options.root, name), erase: trees.erase });
  const volumes = shelfOf('volumes');
  const snapshots = shelfOf('snapshots');
  const once = createSingleFlight();
  const costsBytes = trees.costsBytes === true;
  const warm =
    trees.cloneAhead &&
    createWarmPool({
      directory: join(options.root, 'ready'),
      copies: options.warmCopies ?? defaultWarmCopies[costsBytes ? 'whole' : 'sharing'],
      costsBytes,
      find: (id) => snapshots.find(id),
      copy: trees.cloneAhead,
      erase: trees.erase,
    });

  async function ensureNow(spec: VolumeSpec): Promise<Volume> {
    const found = await volumes.find(spec.id);
    if (found) return toVolume(mine(found));
    await sweep();
    const source = spec.from === undefined ? undefined : await requireSnapshot(spec.from);
    const fill = async (path: string) => {
      if (source === undefined) await trees.create(path);
      else if (!(await warm?.take(source.id, path))) await trees.clone(source.path, path);
      return { labels: spec.labels, ...(spec.from === undefined ? {} : { from: spec.from }) };
    };
    return toVolume(await publish(volumes, spec.id, source?.path, fill));
  }

  async function snapshotNow(volumeId: string, spec: SnapshotSpec, hooks: SnapshotHooks): Promise<Snapshot> {
    const found = await snapshots.find(spec.id);
    if (found) return sameSource(toSnapshot(mine(found)), volumeId);
    await sweep();
    const volume = await requireVolume(volumeId);
    const fill = async (path: string) => {
      await withHooks(trees.atomic ? {} : hooks, volume.path, path, trees);
      // Previews may lose their last second anyway, and writing out a busy disk can take many seconds.
      await trees.freeze(path, { durable: spec.labels.kind !== 'preview' });
      return { labels: spec.labels, volumeId, sizeBytes: await treeSizeBytes(path) };
    };
    return sameSource(toSnapshot(await publish(snapshots, spec.id, volume.path, fill)), volumeId);
  }

  async function publish(
    shelf: Shelf,
    id: string,
    source: string | undefined,
    fill: Parameters<Shelf['publish']>[1],
  ): Promise<ShelfEntry> {
    try {
      return await shelf.publish(id, fill);
    } catch (error) {
      throw isFull(error) ? await diskFull(options.root, id, source, error) : error;
    }
  }

  async function sweep(): Promise<void> {
    await volumes.sweep();
    await snapshots.sweep();
  }

  async function requireVolume(id: string): Promise<ShelfEntry> {
    const entry = await volumes.find(id);
    if (entry) return mine(entry);
    throw new BoughError({
      code: 'volume-absent',
      message: `There is no volume ${id}.`,
      hint: 'It may have been removed meanwhile; redeploy the environment to make it again.',
    });
  }

  async function requireSnapshot(id: string): Promise<ShelfEntry> {
    const entry = await snapshots.find(id);
    if (entry) return mine(entry);
    throw new BoughError({
      code: 'snapshot-absent',
      message: `There is no snapshot ${id} to clone from.`,
      hint: 'It may have been replaced by a newer one; redeploy to clone from that.',
      retryable: true,
    });
  }

  function mine(entry: ShelfEntry): ShelfEntry {
    if (entry.labels.installationId === options.installationId) return entry;
    throw new BoughError({
      code: 'storage-foreign',
      message: `${entry.id} belongs to another installation of Bough (${entry.labels.installationId}).`,
      hint: 'Give each installation a BOUGH_HOME of its own.',
    });
  }

  async function listMine(shelf: Shelf): Promise<ShelfEntry[]> {
    await shelf.sweep();
    const entries = await shelf.list();
    return entries.filter((entry) => entry.labels.installationId === options.installationId);
  }

  return {
    kind: trees.kind,
    atomic: trees.atomic,
    list: async () => (await listMine(volumes)).map(toVolume),
    async observe(id) {
      const entry = await volumes.find(id);
      return entry && entry.labels.installationId === options.installationId ? toVolume(entry) : undefined;
    },
    ensure: (spec) => once(`volume ${spec.id}`, () => ensureNow(spec)),
    async remove(id) {
      const entry = await volumes.find(id);
      if (entry) mine(entry);
      await volumes.withdraw(id);
    },
    listSnapshots: async () => (await listMine(snapshots)).map(toSnapshot),
    snapshot: (volumeId, spec, hooks = {}) =>
      once(`snapshot ${spec.id}`, () => snapshotNow(volumeId, spec, hooks)),
    async removeSnapshot(id) {
      const entry = await snapshots.find(id);
      if (entry) mine(entry);
      await snapshots.withdraw(id);
      await warm?.drop(id);
    },
    usage: async (id) => trees.usage((await requireVolume(id)).path),
    ...(warm === undefined ? {} : { warm }),
  };
}

async function withHooks(hooks: SnapshotHooks, source: string, copy: string, trees: Trees): Promise<void> {
  await hooks.begin?.();
  try {
    if (hooks.copy === undefined) await trees.copyLive(source, copy);
    else {
      await trees.create(copy);
      await hooks.copy({ source, copy });
    }
    await hooks.end?.({ source, copy });
  } finally {
    await hooks.release?.();
  }
}

/** Calls for the same thing that overlap share one piece of work, so that data is not copied twice at once. */
function createSingleFlight() {
  const running = new Map<string, Promise<unknown>>();
  return <Result>(key: string, work: () => Promise<Result>): Promise<Result> => {
    const shared = running.get(key) as Promise<Result> | undefined;
    if (shared) return shared;
    const started = work().finally(() => running.delete(key));
    running.set(key, started);
    return started;
  };
}

function toVolume(entry: ShelfEntry): Volume {
  const { id, labels, path, createdAt, from } = entry;
  return { id, labels, path, createdAt, ...(from === undefined ? {} : { from }) };
}

function toSnapshot(entry: ShelfEntry): Snapshot {
  const { id, labels, path, createdAt, volumeId = '', sizeBytes = 0 } = entry;
  return { id, labels, path, createdAt, volumeId, sizeBytes };
}

function sameSource(snapshot: Snapshot, volumeId: string): Snapshot {
  if (snapshot.volumeId === volumeId) return snapshot;
  throw new BoughError({
    code: 'snapshot-conflict',
    message: `Snapshot ${snapshot.id} exists and is one of ${snapshot.volumeId}, not of ${volumeId}.`,
    hint: 'Remove it first, or use another id.',
  });
}

function isFull(error: unknown): boolean {
  const code = (error as { code?: unknown } | null)?.code;
  return code === 'disk-full' || code === 'ENOSPC' || code === 'EDQUOT';
}

/** Measured after the half-made copy has gone: what counts is how much room there is to try again. */
async function diskFull(
  root: string,
  id: string,
  source: string | undefined,
  cause: unknown,
): Promise<BoughError> {
  const { bavail, bsize } = await statfs(root);
  const isThere = source !== undefined && (await stat(source).catch(() => undefined)) !== undefined;
  const needed = isThere ? `needs ${sizeWords(await treeSizeBytes(source))}` : 'did not fit';
  return new BoughError({
    code: 'disk-full',
    message: `The disk under ${root} is full: ${id} ${needed} and ${sizeWords(bavail * bsize)} are free.`,
    hint: 'Free space on that disk, remove previews that nobody needs (bough env list), or use a larger disk.',
    retryable: true,
    cause,
  });
}
