import { listNewestGoldens } from '@bough/store/snapshots';
import type { Context } from '../context.ts';

/**
 * The storage copies the newest golden of each production ahead, so that the next preview waits for a rename. Called whenever that may have changed, and now and then.
 */
export async function warmGoldens(context: Context): Promise<void> {
  if (context.storage.warm === undefined) return;
  const goldens = await listNewestGoldens(context.pool);
  context.storage.warm.keep(
    goldens.flatMap((golden) => Object.values(golden.volumes).map((volume) => volume.snapshotId)),
  );
}
