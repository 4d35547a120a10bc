import type { Invariant } from '../invariant.ts';
import { isCapture, isRehearsal } from './no-resurrection.ts';

/** In the end every process, volume, snapshot and address belongs to an environment that lives, or to a golden snapshot. */
export function createNothingWithoutOwner(): Invariant {
  return {
    name: 'nothing without an owner',
    async atRest(rest, { watcher, disk }) {
      const living = new Set(rest.environments.filter((row) => row.removedAt === null).map(({ id }) => id));
      const { rows } = await watcher.query<{ id: string }>(
        `select volume.value->>'snapshotId' as id from snapshots s, jsonb_each(s.volumes) volume where s.state = 'frozen'`,
      );
      const goldens = new Set(rows.map(({ id }) => id));
      const stray = [
        ...rest.workloads.map(({ id, labels }) => ({ kind: 'workload', id, labels, isGolden: false })),
        ...[...disk.volumes.values()].map(({ id, labels }) => ({
          kind: 'volume',
          id,
          labels,
          isGolden: false,
        })),
        ...[...disk.snapshots.values()].map(({ id, labels }) => ({
          ...{ kind: 'snapshot', id, labels },
          isGolden: goldens.has(id),
        })),
      ].find(
        ({ labels, isGolden }) =>
          isRehearsal(labels) || (isCapture(labels) ? !isGolden : !living.has(labels.environmentId)),
      );
      if (stray !== undefined)
        return `${stray.kind} ${stray.id} of environment ${stray.labels.environmentId} is left`;
      const { rows: routes } = await watcher.query<{ host: string }>(
        `select host from routes r left join environments e on e.id = r.environment_id where e.id is null or e.removed_at is not null`,
      );
      return routes[0] && `the address ${routes[0].host} is left`;
    },
  };
}
