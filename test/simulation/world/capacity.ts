import type { Capacity } from '@bough/reconcile/admit';
import type { Calls } from '../calls.ts';
import { isCapture, isRehearsal } from '../invariants/no-resurrection.ts';
import type { SimProcess } from '../process.ts';
import type { Random } from '../random.ts';
import type { Machine } from './machine.ts';
import type { Disk } from './volumes.ts';

/** How much this machine bears; null: whatever comes. */
export interface Size {
  /** `BOUGH_MAX_AWAKE`. */
  readonly maxAwake: number | null;
  /** Previews that fit into its memory. */
  readonly memoryFor: number | null;
  readonly minAwakeMs: number;
}

const MIB = 1024 ** 2;
const PREVIEW_BYTES = 128 * MIB;
const RESERVE_BYTES = 512 * MIB;
const UNLIMITED: Size = { maxAwake: null, memoryFor: null, minAwakeMs: 0 };

/** Most machines have room; on some everybody has to give way, and on a few there is no room for any preview. */
export function drawSize(random: Random): Size {
  const minAwakeMs = random.pick([0, 5_000, 20_000]);
  const few = () => random.pick([1, 1, 2]);
  if (!random.chance(0.35)) return UNLIMITED;
  switch (random.pick(['awake', 'awake', 'memory', 'both', 'none'] as const)) {
    case 'awake':
      return { maxAwake: few(), memoryFor: null, minAwakeMs };
    case 'memory':
      return { maxAwake: null, memoryFor: few(), minAwakeMs };
    case 'both':
      return { maxAwake: few(), memoryFor: few(), minAwakeMs };
    case 'none':
      return { maxAwake: null, memoryFor: random.chance(0.3) ? 0 : 2, minAwakeMs };
  }
}

/** Whether there may be previews that give way to others, or wait. */
export function isLimited({ maxAwake, memoryFor }: Size): boolean {
  return maxAwake !== null || memoryFor !== null;
}

/** Previews of which anything runs: each takes as much memory as the next one; what production takes is taken off already. */
export async function previewsRunning(machine: Pick<Machine, 'list'>, production: () => ReadonlySet<string>) {
  const of = new Set<string>();
  for (const { labels, state } of await machine.list())
    if (state !== 'stopped' && !isCapture(labels) && !isRehearsal(labels)) of.add(labels.environmentId);
  for (const id of production()) of.delete(id);
  return of;
}

/** What the worker measures of the machine, and what its operator allows. */
export function capacityOf(of: {
  size: Size;
  machine: Machine;
  disk: Disk;
  production: () => ReadonlySet<string>;
  calls: Calls;
  process: SimProcess;
}): Capacity {
  const { size, machine, disk, calls, process } = of;
  return {
    maxAwake: size.maxAwake,
    minAwakeMs: size.minAwakeMs,
    memoryReserveBytes: size.memoryFor === null ? 0 : RESERVE_BYTES,
    memoryPerPreviewBytes: PREVIEW_BYTES,
    diskReserveBytes: 100 * MIB,
    measure: () =>
      calls.call(
        process,
        'measure machine',
        async () => {
          const running = (await previewsRunning(machine, of.production)).size;
          const left = RESERVE_BYTES + ((size.memoryFor ?? 100) - running) * PREVIEW_BYTES;
          return {
            memoryAvailableBytes: Math.max(0, left),
            diskAvailableBytes: disk.isFull() ? 0 : 1024 * MIB,
          };
        },
        { takes: [0, 2] },
      ),
  };
}
