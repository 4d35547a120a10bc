/**
 * Where volumes live.
 *
 * - Volumes and snapshots carry labels that are stored beside them, so that `list` needs no database.
 * - `ensure` is idempotent: a volume that is there is returned untouched, also when its spec says `from` something.
 *   A volume or snapshot that a crash left half-made is never listed as whole and is made again.
 * - A snapshot is frozen: nothing changes it until `removeSnapshot`. Removing a volume never harms its snapshots, nor
 *   the other way round.
 * - `remove` of the absent succeeds.
 */
export interface Storage {
  readonly kind: 'btrfs' | 'reflink' | 'copy' | 'csi' | 'fake';
  /** True when `snapshot` sees one instant of the whole volume; false when files are copied one after another. */
  readonly atomic: boolean;

  list(): Promise<Volume[]>;
  observe(id: string): Promise<Volume | undefined>;
  ensure(spec: VolumeSpec): Promise<Volume>;
  remove(id: string): Promise<void>;

  listSnapshots(): Promise<Snapshot[]>;
  /** Copies a volume as it is now. `hooks` let a running server take part when the copy is not atomic. */
  snapshot(volumeId: string, spec: SnapshotSpec, hooks?: SnapshotHooks): Promise<Snapshot>;
  removeSnapshot(id: string): Promise<void>;

  /** Bytes on disk that only this volume holds, where the storage can tell; else its apparent size. */
  usage(id: string): Promise<{ exclusiveBytes: number; exact: boolean }>;

  /** Copies made ahead, of which `ensure` takes one in a single rename. Absent where a clone costs nothing at all. */
  readonly warm?: WarmCopies;
}

export interface WarmCopies {
  /**
   * From now on these snapshots, the most wanted first, have copies that wait, and no others. Returns at once: they are
   * made in the background, one at a time, yielding to everybody else; in the place of one that was taken after a rest.
   */
  keep(snapshotIds: readonly string[]): void;
  /** How many copies wait, by snapshot, and why there are not more. */
  state(): Promise<{ readonly ready: Readonly<Record<string, number>>; readonly failure?: string }>;
  /** Resolves when nothing is left to be made; what would rest is made at once. */
  settled(): Promise<void>;
  /** Stops making copies; those that wait stay for the next process. */
  close(): Promise<void>;
}

export interface StorageLabels {
  readonly installationId: string;
  readonly environmentId: string;
  /** `service:database`, `mount:app:uploads`, `capture:database`. */
  readonly name: string;
  /** Production's volumes are never reaped. A rehearsal's are its environment's while it is under way. */
  readonly kind: 'production' | 'preview' | 'capture' | 'rehearsal';
}

export interface VolumeSpec {
  /** Lower case letters, digits and hyphens, ≤ 63. */
  readonly id: string;
  readonly labels: StorageLabels;
  /** Start as a clone of this snapshot; absent = an empty directory. */
  readonly from?: string;
}

export interface Volume {
  readonly id: string;
  readonly labels: StorageLabels;
  /** Directory on this machine; the source of a Mount. */
  readonly path: string;
  readonly from?: string;
  readonly createdAt: Date;
}

export interface SnapshotSpec {
  readonly id: string;
  readonly labels: StorageLabels;
}

export interface Snapshot {
  readonly id: string;
  readonly labels: StorageLabels;
  readonly path: string;
  readonly volumeId: string;
  readonly createdAt: Date;
  readonly sizeBytes: number;
}

export interface SnapshotHooks {
  /** Makes the copy itself, in an empty directory, instead of file by file. */
  readonly copy?: (paths: { source: string; copy: string }) => Promise<void>;
  /** Before the first byte is copied. */
  readonly begin?: () => Promise<void>;
  /** After the last; may still write into the copy (a backup label, the write-ahead log) before it is sealed. */
  readonly end?: (paths: { source: string; copy: string }) => Promise<void>;
  /** Always called after begin succeeded, also when the copy failed: releases what begin took. */
  readonly release?: () => Promise<void>;
}
