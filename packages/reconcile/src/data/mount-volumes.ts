import type { CaptureRun } from '../deploy/run.ts';

/** Volumes of file mounts, each once. */
export function mountVolumes(parent: CaptureRun): string[] {
  const volumes = parent.plan.common.apps.flatMap((app) =>
    [...app.mounts, ...app.workers.flatMap((worker) => worker.mounts)]
      .filter((mount) => mount.source === 'storage')
      .map((mount) => mount.volume),
  );
  return [...new Set(volumes)];
}
