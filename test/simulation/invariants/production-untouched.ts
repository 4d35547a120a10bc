import type { Invariant } from '../invariant.ts';
import { isReconcile } from '../process.ts';
import { isCapture } from './no-resurrection.ts';

/** No preview sees, stops or removes anything of production; and production's volumes are removed by nobody. */
export function createProductionUntouched(): Invariant {
  return {
    name: 'production untouched',
    async deed(deed, job, { disk, environments }) {
      const { environmentId } = deed.labels;
      const isCaptures = isCapture(deed.labels);
      const isProduction = environments.get(environmentId)?.kind === 'production';
      if (isProduction && !isCaptures) {
        if (deed.kind === 'volume' && deed.verb === 'remove')
          return `production's volume ${deed.id} is removed`;
        if (isReconcile(job) && job.key !== environmentId)
          return `the reconcile of environment ${job.key} does ${deed.verb} ${deed.id} of production`;
      }
      for (const path of deed.mounts ?? []) {
        const volume = [...disk.volumes.values()].find((candidate) => candidate.path === path);
        const isOwn =
          volume?.labels.environmentId === environmentId && isCapture(volume.labels) === isCaptures;
        if (volume !== undefined && !isOwn) return `${deed.id} sees ${volume.id}, which is another's`;
        if (volume === undefined && [...disk.snapshots.values()].some((snapshot) => snapshot.path === path))
          return `${deed.id} writes into the frozen ${path}`;
      }
      return undefined;
    },
  };
}
