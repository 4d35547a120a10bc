import { BoughError } from '@bough/domain/bough-error';
import type { Environment } from '@bough/domain/environment';
import type { Secret } from '@bough/domain/secret';
import type { Outcome } from '@bough/queue/consumer';
import { askForRefresh } from '@bough/store/data-refreshes';
import { transaction } from '@bough/store/database';
import { closeDeployment, openDeployment } from '@bough/store/deployments';
import { Interrupted } from '@bough/store/environment-lock';
import { writeDataAnswered, writeDataChange, writeSettled } from '@bough/store/environments';
import { queueRehearsal } from '@bough/store/rehearsals';
import { openDataRequest, type Request } from '@bough/store/requests';
import { askForFeedback } from '../ask-for-feedback.ts';
import type { Context } from '../context.ts';
import { forgetOtherData } from '../data/replace-data.ts';
import type { Locked } from '../locked.ts';
import { mirrorOf } from '../observe.ts';
import { policyOf } from '../policy-of.ts';
import { describeFailure, RETRIES_MAX } from '../record-failure.ts';
import { askForRehearsal, wantsRehearsal } from '../rehearse/wants-rehearsal.ts';
import { withoutSecrets } from '../without-secrets.ts';
import { keepWaitingForSlot } from './build-slot.ts';
import { deploy, stopEarlier } from './deploy.ts';
import { stopReleasesBut } from './release.ts';
import { type DeploymentRun, type PlannedRun, Waiting } from './run.ts';
import { previousRelease, standBack } from './stand-back.ts';

/** One attempt to bring an environment to its desired commit. What it leaves when it fails is what served before. */
export async function deployOnce(context: Context, of: Locked): Promise<Outcome> {
  const { environment, project, lock } = of;
  const commit = environment.desiredCommit;
  if (commit === null) return { kind: 'done' };
  const deployment = await openDeployment(context.pool, lock.fence, commit);
  await keepWaitingForSlot(context, deployment);
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
        failure: describeFailure(error),
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
 * Other data that could not be made to serve is given up, unless trying again may help: what served before serves on, on
 * the data that it had, and the failure says so.
 */
async function keepData(
  context: Context,
  of: Pick<Locked, 'environment' | 'lock'> & { dataRequest: Request },
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
