import type { WorkloadLabels } from '@bough/engine/engine';
import type { StorageLabels } from '@bough/storage/storage';

/** Something that a process does to the world, seen just before it takes effect. */
export interface Deed {
  readonly verb: 'ensure' | 'remove' | 'stop' | 'run';
  readonly kind: 'workload' | 'volume' | 'snapshot';
  readonly id: string;
  readonly labels: WorkloadLabels | StorageLabels;
  /** Directories that a workload sees. */
  readonly mounts?: readonly string[];
}

/** Looks on at everything that changes the world. */
export interface Witness {
  does(deed: Deed): Promise<void>;
}
