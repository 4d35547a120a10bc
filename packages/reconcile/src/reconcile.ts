import type { Outcome } from '@bough/queue/consumer';
import { writePlaceFree } from '@bough/store/admission';
import { cancelDeployments, listDeployments } from '@bough/store/deployments';
import { type EnvironmentLock, Interrupted, withEnvironmentLock } from '@bough/store/environment-lock';
import { findEnvironment, writeSettled, writeWaiting } from '@bough/store/environments';
import { findProject } from '@bough/store/projects';
import { admit, callWaiting } from './admit.ts';
import { askForFeedback } from './ask-for-feedback.ts';
import type { Context } from './context.ts';
import { decide } from './decide.ts';
import { deployOnce } from './deploy/deploy-once.ts';
import { Waiting } from './deploy/run.ts';
import { createLaps } from './laps.ts';
import type { Locked } from './locked.ts';
import { lookAround } from './look-around.ts';
import { policyOf } from './policy-of.ts';
import { recordFailure } from './record-failure.ts';
import { removeEnvironment } from './remove-environment.ts';
import { restoreRelease } from './restore-release.ts';
import { sleepEnvironment, stopAll } from './sleep-environment.ts';

/** Another worker holds the environment: it will see the newest wish itself, or be gone soon. */
const BUSY_RETRY_MS = 1_000;

/** Makes one environment match its row. The key is the environment's id. */
export async function reconcile(
  context: Context,
  environmentId: string,
  signal: AbortSignal,
): Promise<Outcome> {
  const held = await withEnvironmentLock(
    { url: context.databaseUrl, connect: context.connect, clock: context.clock, environmentId, signal },
    (lock) => converge(context, environmentId, lock),
  );
  switch (held.kind) {
    case 'busy':
      return { kind: 'again', delayMs: BUSY_RETRY_MS };
    case 'gone':
      return { kind: 'done' };
    case 'held':
      return held.result;
  }
}

async function converge(context: Context, environmentId: string, lock: EnvironmentLock): Promise<Outcome> {
  const environment = await findEnvironment(context.pool, environmentId);
  const project = environment && (await findProject(context.pool, environment.projectId));
  if (environment === undefined || project === undefined) return { kind: 'done' };
  const log = { environmentId, generation: lock.fence.generation, lease: lock.fence.lease };
  try {
    const outcome = await act(context, { environment, project, lock });
    context.buildSlots.leave(environmentId);
    await askForFeedback(context, environmentId);
    return outcome;
  } catch (error) {
    if (lock.signal.aborted || error instanceof Interrupted) {
      const reason: unknown = lock.signal.aborted ? lock.signal.reason : error;
      const why = reason instanceof Interrupted ? reason.why : 'superseded';
      context.log.info({ ...log, why }, 'reconcile interrupted');
      return { kind: 'again', delayMs: 0 };
    }
    if (error instanceof Waiting) {
      await writeWaiting(context.pool, lock.fence, { reason: error.message, position: error.position });
      await askForFeedback(context, environmentId);
      return { kind: 'again', delayMs: error.delayMs };
    }
    context.buildSlots.leave(environmentId);
    return await recordFailure(context, environment, lock, error);
  }
}

async function act(context: Context, of: Locked): Promise<Outcome> {
  const { environment, lock } = of;
  const decision = decide(environment, await lookAround(context, of));
  switch (decision.kind) {
    case 'nothing':
      return { kind: 'done' };
    case 'wait':
      return { kind: 'again', delayMs: decision.delayMs };
    case 'hold':
      // What was under way for an earlier wish is over, also when a crash left it so.
      await cancelDeployments(context.pool, lock.fence);
      await hold(context, of);
      return { kind: 'done' };
    case 'remove':
      await removeEnvironment(context, environment, lock);
      await callWaiting(context);
      return { kind: 'done' };
    case 'restore':
      await restoreRelease(context, {
        ...of,
        policy: await policyOf(context, of),
        isAsDeployed: false,
        laps: createLaps(context.clock),
      });
      await forgetFailedRestore(context, of);
      return { kind: 'done' };
    case 'wake':
      await wake(context, of);
      return { kind: 'done' };
    case 'sleep':
      await sleepEnvironment(context, of, () => policyOf(context, of));
      await callWaiting(context);
      return { kind: 'done' };
    case 'deploy':
      await admit(context, { ...of, policy: await policyOf(context, of), needsDisk: true });
      return await deployOnce(context, of);
  }
}

/** Starts a release that slept, as it was deployed. The log says where the visitor's time went. */
async function wake(context: Context, of: Locked): Promise<void> {
  const { environment, lock } = of;
  const laps = createLaps(context.clock, environment.changedAt);
  laps.end('lock');
  await cancelDeployments(context.pool, lock.fence);
  const policy = await policyOf(context, of);
  laps.end('policy');
  await admit(context, { ...of, policy, needsDisk: false });
  laps.end('place');
  await restoreRelease(context, { ...of, policy, isAsDeployed: true, laps });
  context.log.info({ environmentId: environment.id, ...laps.taken() }, 'woken');
  if (!(await writeSettled(context.pool, lock.fence, { deploymentId: null })))
    throw new Interrupted('superseded');
}

/** What never served has nothing to keep awake for: its services stop, and somebody else may have its place. */
async function hold(context: Context, { environment, lock }: Locked): Promise<void> {
  const isServing = environment.releaseDeploymentId !== null;
  if (!isServing) {
    await stopAll(context, await context.engine.list({ environmentId: environment.id }));
    if (!(await writePlaceFree(context.pool, lock.fence))) throw new Interrupted('superseded');
  }
  await writeSettled(context.pool, lock.fence, { deploymentId: null });
  if (!isServing) await callWaiting(context);
}

/** It runs again, so that an earlier try failed is past. That a newer deployment failed is not. */
async function forgetFailedRestore(context: Context, { environment, lock }: Locked): Promise<void> {
  if (environment.failure === null) return;
  const [newest] = await listDeployments(context.pool, environment.id, 1);
  if (newest?.id !== environment.releaseDeploymentId) return;
  await writeSettled(context.pool, lock.fence, { deploymentId: null });
}
