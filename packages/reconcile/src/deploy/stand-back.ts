import type { Environment } from '@bough/domain/environment';
import { transaction } from '@bough/store/database';
import { findReadyDeployment } from '@bough/store/deployments';
import { type EnvironmentLock, Interrupted } from '@bough/store/environment-lock';
import { findEnvironment, writeRelease } from '@bough/store/environments';
import { setRouteState } from '@bough/store/routes';
import type { Context } from '../context.ts';
import { createLaps } from '../laps.ts';
import type { Locked } from '../locked.ts';
import { policyOf } from '../policy-of.ts';
import { restoreRelease } from '../restore-release.ts';
import { stopReleasesBut } from './release.ts';

/**
 * The release that an environment falls back to: the newest that was verified. Not simply the one in the row, which after
 * a crash behind the swap is the very deployment that goes on, or one that was overtaken before it was verified.
 */
export async function previousRelease(context: Context, environment: Environment): Promise<string | null> {
  if (environment.releaseDeploymentId === null) return null;
  return (await findReadyDeployment(context.pool, environment.id))?.id ?? null;
}

/**
 * A failed deployment leaves nothing of its own. What was verified before it serves again; where there is nothing, the
 * address says that it failed. Failing at this must not hide why the deployment failed: resync restores later.
 */
export async function standBack(context: Context, of: Locked, previous: string | null): Promise<void> {
  const { lock } = of;
  const environment = await findEnvironment(context.pool, of.environment.id);
  if (environment === undefined) return;
  try {
    if (previous === null) await giveUpRelease(context, lock);
    else if (environment.releaseDeploymentId !== previous) {
      if (!(await writeRelease(context.pool, lock.fence, previous))) throw new Interrupted('superseded');
      const release = { ...environment, releaseDeploymentId: previous };
      await restoreRelease(context, {
        ...{ ...of, environment: release, policy: await policyOf(context, of) },
        isAsDeployed: false,
        laps: createLaps(context.clock),
      });
    }
    await stopReleasesBut(context, environment.id, [previous]);
  } catch (error) {
    if (lock.signal.aborted || error instanceof Interrupted) throw error;
    context.log.warn(
      { environmentId: environment.id, error },
      'the earlier release could not be restored yet',
    );
  }
}

/** Nothing serves: the address says that it failed, instead of that it is about to start, and nothing is to be restored. */
async function giveUpRelease(context: Context, lock: EnvironmentLock): Promise<void> {
  await transaction(context.pool, async (db) => {
    if (await writeRelease(db, lock.fence, null)) await setRouteState(db, lock.fence, 'failed');
  });
}
