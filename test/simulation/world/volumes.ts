import { BoughError } from '@bough/domain/bough-error';
import type { Snapshot, Storage, Volume } from '@bough/storage/storage';
import type { Calls } from '../calls.ts';
import type { SimProcess } from '../process.ts';
import type { Witness } from '../witness.ts';

/** The disk: volumes and snapshots in memory. It outlives every process. */
export interface Disk {
  readonly volumes: Map<string, Volume>;
  readonly snapshots: Map<string, Snapshot>;
  storage(process: SimProcess): Storage;
  setFull(isFull: boolean): void;
  isFull(): boolean;
}

export function createDisk(of: {
  calls: Calls;
  witness: Witness;
  installationId: string;
  now: () => Date;
}): Disk {
  const { calls, witness, now } = of;
  const volumes = new Map<string, Volume>();
  const snapshots = new Map<string, Snapshot>();
  let isFull = false;

  function room(id: string): void {
    if (!isFull) return;
    throw new BoughError({
      code: 'disk-full',
      message: `The disk is full, so that ${id} could not be made.`,
      hint: 'Free space on it.',
      retryable: true,
    });
  }

  return {
    volumes,
    snapshots,
    setFull(full) {
      isFull = full;
    },
    isFull: () => isFull,
    storage: (process) => ({
      kind: 'fake',
      atomic: true,
      list: () => calls.call(process, 'storage list', () => [...volumes.values()], TAKES),
      observe: (id) => calls.call(process, 'storage observe', () => volumes.get(id), TAKES),
      ensure: (spec) =>
        calls.call(
          process,
          'storage ensure',
          async () => {
            const found = volumes.get(spec.id);
            if (found !== undefined) return found;
            room(spec.id);
            if (spec.from !== undefined && !snapshots.has(spec.from)) throw absent('snapshot', spec.from);
            await witness.does({ verb: 'ensure', kind: 'volume', id: spec.id, labels: spec.labels });
            const { id, labels, from } = spec;
            const volume: Volume = {
              ...{ id, labels, path: `/volumes/${id}`, createdAt: now() },
              ...(from === undefined ? {} : { from }),
            };
            volumes.set(id, volume);
            return volume;
          },
          TAKES_LONG,
        ),
      remove: (id) =>
        calls.call(
          process,
          'storage remove',
          async () => {
            const found = volumes.get(id);
            if (found === undefined) return;
            await witness.does({ verb: 'remove', kind: 'volume', id, labels: found.labels });
            volumes.delete(id);
          },
          TAKES,
        ),
      listSnapshots: () =>
        calls.call(process, 'storage list snapshots', () => [...snapshots.values()], TAKES),
      snapshot: (volumeId, spec) =>
        calls.call(
          process,
          'storage snapshot',
          async () => {
            const found = snapshots.get(spec.id);
            if (found !== undefined) return found;
            if (!volumes.has(volumeId)) throw absent('volume', volumeId);
            room(spec.id);
            await witness.does({ verb: 'ensure', kind: 'snapshot', id: spec.id, labels: spec.labels });
            const { id, labels } = spec;
            const made = { id, labels, volumeId, path: `/snapshots/${id}`, createdAt: now(), sizeBytes: 1 };
            snapshots.set(id, made);
            return made;
          },
          TAKES_LONG,
        ),
      removeSnapshot: (id) =>
        calls.call(
          process,
          'storage remove snapshot',
          async () => {
            const found = snapshots.get(id);
            if (found === undefined) return;
            await witness.does({ verb: 'remove', kind: 'snapshot', id, labels: found.labels });
            snapshots.delete(id);
          },
          TAKES,
        ),
      usage: async () => ({ exclusiveBytes: 0, exact: false }),
    }),
  };
}

const TAKES = { takes: [0, 3] } as const;
const TAKES_LONG = { takes: [1, 60] } as const;

function absent(what: string, id: string): BoughError {
  return new BoughError({
    code: `${what}-absent`,
    message: `There is no ${what} ${id}.`,
    retryable: what === 'snapshot',
  });
}
