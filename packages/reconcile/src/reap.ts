import type { StorageLabels } from '@bough/storage/storage';
import { forgetArtifact, listStaleArtifacts } from '@bough/store/artifacts';
import { listLivingEnvironmentIds } from '@bough/store/environments';
import { appendEvent } from '@bough/store/events';
import { clearOrphans, sightOrphans } from '@bough/store/orphans';
import { listOpenRehearsals } from '@bough/store/rehearsals';
import { listEndedSnapshots, listKeptSnapshots } from '@bough/store/snapshots';
import type { Context } from './context.ts';
import { isUnderWay, settleDeadCaptures } from './data/golden.ts';

/** Listings that must agree before anything is removed: one alone may have met a moment of change. */
const LISTINGS_NEEDED = 2;
/** Above this share of everything listed (and this many), something is wrong with us, not with the world. */
const SHARE_MAX = 0.5;
const COUNT_FREE = 5;
const ARTIFACTS_UNUSED_DAYS = 7;

interface Orphan {
  readonly kind: 'workload' | 'volume' | 'snapshot';
  readonly name: string;
}

/**
 * Removes what no row owns. Found by label on the things themselves; quarantined first, removed when two listings in a
 * row agree. Production's volumes are never touched. Returns how many were removed.
 */
export async function reap(context: Context): Promise<number> {
  if (!context.mayReap) return 0;
  await settleDeadCaptures(context);
  const { orphans, total } = await listOrphans(context);
  const doomed = await sightOrphans(context.pool, orphans, LISTINGS_NEEDED);
  const unknown = await withoutEndedCaptures(context, doomed);
  if (unknown.length > COUNT_FREE && unknown.length > total * SHARE_MAX) {
    context.log.error(
      { doomed: doomed.length, unknown: unknown.length, total },
      'reaping is stopped: more than half of everything would go. Is this the right database for this BOUGH_HOME? Restart with the pair that belongs together; what is listed here stays until then',
    );
    return 0;
  }
  const gone: Orphan[] = [];
  for (const orphan of doomed) {
    // One that cannot be removed (a mount that is busy) must not keep the others.
    const isGone = await removeOrphan(context, orphan);
    if (!isGone) continue;
    gone.push(orphan);
    context.log.warn({ ...orphan }, 'reaped what no environment owns');
    await appendEvent(context.pool, {
      projectId: null,
      environmentId: null,
      actor: 'bough',
      kind: 'reaped',
      detail: { ...orphan },
    });
  }
  await clearOrphans(context.pool, gone);
  for (const key of await listStaleArtifacts(context.pool, ARTIFACTS_UNUSED_DAYS)) {
    await context.engine.artifacts.remove(key);
    await forgetArtifact(context.pool, key);
  }
  return gone.length;
}

/** The number in the name of what belongs to a capture or golden. */
const SNAPSHOT_IN_NAME = /-s(\d{1,18})-/;

/**
 * What a row says is over is no sign of the wrong database: on a small installation captures that died may have left more
 * than everything else together.
 */
async function withoutEndedCaptures(context: Context, orphans: readonly Orphan[]): Promise<Orphan[]> {
  const numberOf = ({ name }: Orphan) => SNAPSHOT_IN_NAME.exec(name)?.[1];
  const numbers = orphans.flatMap((orphan) => numberOf(orphan) ?? []);
  const ended = new Set(await listEndedSnapshots(context.pool, numbers));
  return orphans.filter((orphan) => !ended.has(numberOf(orphan) ?? ''));
}

async function removeOrphan(context: Context, orphan: Orphan): Promise<boolean> {
  try {
    if (orphan.kind === 'workload') await context.engine.remove(orphan.name);
    else if (orphan.kind === 'volume') await context.storage.remove(orphan.name);
    else await context.storage.removeSnapshot(orphan.name);
    return true;
  } catch (error) {
    context.log.warn({ ...orphan, error }, 'what no environment owns could not be reaped; tried again later');
    return false;
  }
}

async function listOrphans(context: Context): Promise<{ orphans: Orphan[]; total: number }> {
  // The world is listed before the rows: what is made meanwhile has its row already.
  const workloads = await context.engine.list();
  const volumes = (await context.storage.list()).filter(
    (volume) => volume.labels.installationId === context.installationId,
  );
  const snapshots = (await context.storage.listSnapshots()).filter(
    (snapshot) => snapshot.labels.installationId === context.installationId,
  );
  const living = await listLivingEnvironmentIds(context.pool);
  const goldens = await listKeptSnapshots(context.pool);
  const rehearsing = new Set(
    (await listOpenRehearsals(context.pool)).map(({ environmentId }) => environmentId),
  );
  const captured = new Set(
    goldens.flatMap((row) => Object.values(row.volumes).map((volume) => volume.snapshotId)),
  );
  // While something is captured, its parts are in no row yet: they are known by the number in their names.
  const underWay = goldens.filter(isUnderWay).map(({ id }) => `-s${id}-`);
  const capturing = (id: string) => underWay.some((number) => id.includes(number));
  const owned = (labels: StorageLabels, id: string) =>
    labels.kind === 'production' ||
    (labels.kind === 'capture'
      ? capturing(id) || captured.has(id)
      : labels.kind === 'rehearsal'
        ? rehearsing.has(labels.environmentId)
        : living.has(labels.environmentId));
  return {
    total: workloads.length + volumes.length + snapshots.length,
    orphans: [
      ...workloads
        .filter(({ id, labels }) =>
          labels.role === 'capture'
            ? !capturing(id)
            : !(labels.role === 'rehearsal' ? rehearsing : living).has(labels.environmentId),
        )
        .map((workload) => ({ kind: 'workload' as const, name: workload.id })),
      ...volumes
        .filter((volume) => !owned(volume.labels, volume.id))
        .map((volume) => ({ kind: 'volume' as const, name: volume.id })),
      ...snapshots
        .filter((snapshot) => !owned(snapshot.labels, snapshot.id))
        .map((snapshot) => ({ kind: 'snapshot' as const, name: snapshot.id })),
    ],
  };
}
