import { BoughError } from '@bough/domain/bough-error';
import type { Environment } from '@bough/domain/environment';
import type { Secret } from '@bough/domain/secret';
import { writePlaceFree } from '@bough/store/admission';
import { askForRefresh } from '@bough/store/data-refreshes';
import { transaction } from '@bough/store/database';
import {
  cancelDeployments,
  closeDeployment,
  findDeployment,
  findReadyDeployment,
  listDeploymentArtifacts,
  listDeployments,
  openDeployment,
} from '@bough/store/deployments';
import { type EnvironmentLock, Interrupted, withEnvironmentLock } from '@bough/store/environment-lock';
import {
  findEnvironment,
  writeDataAnswered,
  writeDataChange,
  writeFailure,
  writeRelease,
  writeSettled,
  writeWaiting,
} from '@bough/store/environments';
import { findProject, type Project } from '@bough/store/projects';
import { queueRehearsal } from '@bough/store/rehearsals';
import { openDataRequest, type Request } from '@bough/store/requests';
import { listRoutes, setRouteState } from '@bough/store/routes';
import { admit, callWaiting } from './admit.ts';
import { askForFeedback } from './ask-for-feedback.ts';
import type { Context } from './context.ts';
import { readRelease } from './data/golden.ts';
import { forgetOtherData } from './data/replace-data.ts';
import { decide, type World } from './decide.ts';
import { ManifestProblems } from './deploy/compile.ts';
import { deploy, stopEarlier } from './deploy/deploy.ts';
import { releaseWorkloadIds, stopReleasesBut } from './deploy/release.ts';
import { type DeploymentRun, type PlannedRun, Waiting } from './deploy/run.ts';
import { serviceWorkloadId } from './deploy/services.ts';
import { createLaps } from './laps.ts';
import { mirrorOf, type Outcome, repositoryOf } from './observe.ts';
import { type Policy, readPolicyAt, recallPolicyAt } from './policy.ts';
import { askForRehearsal, wantsRehearsal } from './rehearse/wants-rehearsal.ts';
import { removeEnvironment } from './remove-environment.ts';
import { restoreRelease } from './restore-release.ts';
import { sleepEnvironment, stopAll } from './sleep-environment.ts';
import { withoutSecrets } from './without-secrets.ts';

/** Another worker holds the environment: it will see the newest wish itself, or be gone soon. */
const BUSY_RETRY_MS = 1_000;
const RETRY_FIRST_MS = 2_000;
const RETRY_MAX_MS = 5 * 60_000;
const RETRIES_MAX = 8;

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
    return await fail(context, environment, lock, error);
  }
}

async function act(
  context: Context,
  of: { environment: Environment; project: Project; lock: EnvironmentLock },
): Promise<Outcome> {
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
    case 'wake': {
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
      return { kind: 'done' };
    }
    case 'sleep':
      await sleepEnvironment(context, of, () => policyOf(context, of));
      await callWaiting(context);
      return { kind: 'done' };
    case 'deploy':
      await admit(context, { ...of, policy: await policyOf(context, of), needsDisk: true });
      return await deployOnce(context, of);
  }
}

/** What never served has nothing to keep awake for: its services stop, and somebody else may have its place. */
async function hold(
  context: Context,
  { environment, lock }: { environment: Environment; lock: EnvironmentLock },
): Promise<void> {
  const isServing = environment.releaseDeploymentId !== null;
  if (!isServing) {
    await stopAll(context, await context.engine.list({ environmentId: environment.id }));
    if (!(await writePlaceFree(context.pool, lock.fence))) throw new Interrupted('superseded');
  }
  await writeSettled(context.pool, lock.fence, { deploymentId: null });
  if (!isServing) await callWaiting(context);
}

/** It runs again, so that an earlier try failed is past. That a newer deployment failed is not. */
async function forgetFailedRestore(
  context: Context,
  of: { environment: Environment; lock: EnvironmentLock },
): Promise<void> {
  const { environment, lock } = of;
  if (environment.failure === null) return;
  const [newest] = await listDeployments(context.pool, environment.id, 1);
  if (newest?.id !== environment.releaseDeploymentId) return;
  await writeSettled(context.pool, lock.fence, { deploymentId: null });
}

async function lookAround(
  context: Context,
  of: { environment: Environment; project: Project; lock: EnvironmentLock },
): Promise<World> {
  const { environment } = of;
  // Something newer is wanted: what runs does not decide anything, and a release that cannot be read must not keep it.
  const isBehind = environment.generation !== environment.observedGeneration;
  if (isBehind || environment.releaseDeploymentId === null || environment.desiredState !== 'running') {
    const releaseIsWanted = await isReleaseWanted(context, environment);
    const release = { wanted: 0, running: 0, stale: 0 };
    return { release, routesServing: true, releaseIsWanted, now: context.clock.now() };
  }
  const run = await readRelease(context, of.project, environment, of.lock);
  const wanted = releaseWorkloadIds(run);
  const services = new Set(run.plan.common.services.map(({ name }) => serviceWorkloadId(run, name)));
  const present = await context.engine.list({ environmentId: environment.id });
  const running = present.filter(
    (workload) => workload.state !== 'stopped' && (wanted.includes(workload.id) || services.has(workload.id)),
  );
  const routes = await listRoutes(context.pool, environment.id);
  return {
    release: {
      wanted: wanted.length + services.size,
      running: running.length,
      stale: present.filter(
        ({ id, labels }) =>
          (labels.release !== undefined && !wanted.includes(id)) ||
          // Of data that was replaced, or dropped by the release: whoever was to remove it died.
          (labels.role === 'service' && !services.has(id)),
      ).length,
    },
    routesServing: routes.every((route) => route.state === 'serving'),
    releaseIsWanted: true,
    now: context.clock.now(),
  };
}

/** Sleep and wake change nothing of what an environment is made of: a verified release of it is as good as a new one. */
async function isReleaseWanted(context: Context, environment: Environment): Promise<boolean> {
  const { releaseDeploymentId, desiredState, heldReason } = environment;
  if (releaseDeploymentId === null || desiredState !== 'running' || heldReason !== null) return false;
  const release = await findDeployment(context.pool, releaseDeploymentId);
  if (release?.state !== 'ready' || BigInt(release.generation) < BigInt(environment.deployGeneration))
    return false;
  for (const { key } of await listDeploymentArtifacts(context.pool, release.id))
    if ((await context.engine.artifacts.find(key)) === undefined) return false;
  return true;
}

async function deployOnce(
  context: Context,
  of: { environment: Environment; project: Project; lock: EnvironmentLock },
): Promise<Outcome> {
  const { environment, project, lock } = of;
  const commit = environment.desiredCommit;
  if (commit === null) return { kind: 'done' };
  const deployment = await openDeployment(context.pool, lock.fence, commit);
  const secrets = new Set<Secret>();
  const previous = await previousRelease(context, environment);
  const dataRequest =
    environment.kind === 'preview' ? await openDataRequest(context.pool, environment) : undefined;
  try {
    await stopReleasesBut(context, environment.id, [
      deployment.id,
      environment.releaseDeploymentId,
      previous,
    ]);
    const run: DeploymentRun = {
      context,
      lock,
      project,
      environment,
      deployment,
      commit,
      mirror: mirrorOf(context, project),
      policy: await policyOf(context, of),
      secrets,
      dataRequest,
    };
    const deployed = await deploy(run);
    await settle(context, deployed, dataRequest);
    await tidy(deployed);
  } catch (thrown) {
    const bare = withoutSecrets(thrown, secrets);
    const error =
      dataRequest === undefined ? bare : await keepData(context, { environment, lock, dataRequest }, bare);
    const interruption: unknown = lock.signal.aborted ? lock.signal.reason : error;
    // A shutdown or a lost lock leaves it running: the next holder goes on with it.
    if (interruption instanceof Interrupted) {
      if (interruption.why === 'superseded')
        await closeDeployment(context.pool, lock.fence, deployment.id, { state: 'superseded' });
    } else if (!(error instanceof Waiting)) {
      await closeDeployment(context.pool, lock.fence, deployment.id, {
        state: 'failed',
        failure: describe(error),
      });
      await standBack(context, of, previous);
      if (dataRequest !== undefined) await forgetOtherData(context, environment.id);
    }
    throw error;
  }
  if (environment.kind === 'production') await refreshAfter(context, environment);
  return { kind: 'done' };
}

/** Whatever comes in between, a crash too, the next look finds what is left of earlier releases and stops it. */
async function tidy(run: PlannedRun): Promise<void> {
  await askForFeedback(run.context, run.environment.id);
  const stop = async () => {
    await stopEarlier(run);
    if (run.environment.kind === 'preview') await forgetOtherData(run.context, run.environment.id);
  };
  await stop().catch((error: unknown) => {
    run.context.log.warn({ environmentId: run.environment.id, error }, 'earlier releases not stopped yet');
  });
}

/** In one transaction: a crash in between would deploy once more what is ready. */
async function settle(
  context: Context,
  deployed: PlannedRun,
  dataRequest: Request | undefined,
): Promise<void> {
  const { environment, lock, deployment } = deployed;
  const isRehearsed = wantsRehearsal(deployed);
  await transaction(context.pool, async (db) => {
    if (!(await writeSettled(db, lock.fence, { deploymentId: deployment.id })))
      throw new Interrupted('superseded');
    await closeDeployment(db, lock.fence, deployment.id, { state: 'ready' });
    if (dataRequest !== undefined) {
      const change = environment.dataPending;
      if (change?.requestId === dataRequest.id) await writeDataChange(db, lock.fence, change);
      else await writeDataAnswered(db, lock.fence, dataRequest.id);
    }
    // Its schema may be another one now: previews get what it became.
    if (environment.kind === 'production')
      await askForRefresh(db, { projectId: environment.projectId, askedBy: 'a deployment of production' });
    if (isRehearsed) await queueRehearsal(db, { environmentId: environment.id, deploymentId: deployment.id });
  });
  if (isRehearsed) await askForRehearsal(context, environment.id);
}

/** The deployment is done; that the queue store is away does not undo it, and resync sees what was asked for. */
async function refreshAfter(context: Context, environment: Environment): Promise<void> {
  await context.enqueue('data', environment.projectId).catch((error: unknown) => {
    context.log.warn({ environmentId: environment.id, error }, 'refresh of the data not queued yet');
  });
}

/**
 * The release that an environment falls back to: the newest that was verified. Not simply the one in the row, which after
 * a crash behind the swap is the very deployment that goes on, or one that was overtaken before it was verified.
 */
async function previousRelease(context: Context, environment: Environment): Promise<string | null> {
  if (environment.releaseDeploymentId === null) return null;
  return (await findReadyDeployment(context.pool, environment.id))?.id ?? null;
}

/**
 * A failed deployment leaves nothing of its own. What was verified before it serves again; where there is nothing, the
 * address says that it failed. Failing at this must not hide why the deployment failed: resync restores later.
 */
async function standBack(
  context: Context,
  of: { environment: Environment; project: Project; lock: EnvironmentLock },
  previous: string | null,
): Promise<void> {
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
    if (await writeRelease(db, lock.fence, null)) await setRouteState(db, lock.fence.environmentId, 'failed');
  });
}

/**
 * Other data that could not be made to serve is given up, unless trying again may help: what served before serves on, on
 * the data that it had, and the failure says so.
 */
async function keepData(
  context: Context,
  of: { environment: Environment; lock: EnvironmentLock; dataRequest: Request },
  error: unknown,
): Promise<unknown> {
  const { environment, lock, dataRequest } = of;
  if (lock.signal.aborted || error instanceof Interrupted || error instanceof Waiting) return error;
  const isFinal = error instanceof BoughError && !error.retryable;
  if (!isFinal && environment.failures < RETRIES_MAX) return error;
  await writeDataAnswered(context.pool, lock.fence, dataRequest.id);
  if (!(error instanceof BoughError)) return error;
  return new BoughError({
    code: error.code,
    message: error.message,
    hint: `This was tried on other data (${dataRequest.kind}, asked for by ${dataRequest.askedBy}): the preview keeps the data that it had. ${error.hint ?? ''}`.trim(),
    tail: error.tail,
    cause: error,
  });
}

async function policyOf(
  context: Context,
  of: { environment: Environment; project: Project; lock: EnvironmentLock },
): Promise<Policy | null> {
  const { environment, project, lock } = of;
  if (environment.policyCommit === null) return null;
  const at = {
    mirror: mirrorOf(context, project),
    commit: environment.policyCommit,
    signal: lock.signal,
  };
  const known = recallPolicyAt(context, at);
  if (known !== undefined) return known;
  await context.forge(project.forge).fetch(repositoryOf(project), at);
  return await readPolicyAt(context, at);
}

async function fail(
  context: Context,
  environment: Environment,
  lock: EnvironmentLock,
  error: unknown,
): Promise<Outcome> {
  const failure = describe(error);
  const retryable = !(error instanceof BoughError) || error.retryable || MENDED_ELSEWHERE.has(error.code);
  const again = retryable && environment.failures < RETRIES_MAX;
  const delayMs = Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** environment.failures);
  const fields = {
    environmentId: environment.id,
    generation: lock.fence.generation,
    code: failure.code,
    retry: again,
    error,
  };
  if (error instanceof BoughError) context.log.info(fields, 'environment failed');
  else context.log.error(fields, 'environment failed unexpectedly');
  await writeFailure(
    context.pool,
    lock.fence,
    failure,
    again ? new Date(context.clock.now().getTime() + delayMs) : null,
  );
  await askForFeedback(context, environment.id);
  return again ? { kind: 'again', delayMs } : { kind: 'done' };
}

/** Nobody pushes because access came back, so it is tried again like everything that passes. */
const MENDED_ELSEWHERE: ReadonlySet<string> = new Set(['forge-forbidden', 'forge-unauthorized']);

function describe(error: unknown): {
  code: string;
  message: string;
  hint: string | null;
  tail: readonly string[];
  annotations: { path: string; line: number; column: number; message: string }[];
} {
  if (!(error instanceof BoughError)) {
    return {
      code: 'unexpected',
      message: 'Bough failed in a way it should not.',
      hint: 'It tries again by itself. The server log has the details; please report them.',
      tail: [],
      annotations: [],
    };
  }
  const problems = error instanceof ManifestProblems ? error.problems : [];
  return {
    code: error.code,
    message: error.message,
    hint: error.hint ?? null,
    tail: error.tail,
    annotations: problems.map(({ file, line, column, message, hint }) => ({
      path: file,
      line,
      column,
      message: `${message}\n${hint}`,
    })),
  };
}
