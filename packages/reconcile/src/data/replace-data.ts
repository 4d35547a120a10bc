import { BoughError } from '@bough/domain/bough-error';
import type { DataChange, Environment } from '@bough/domain/environment';
import { epochSuffix } from '@bough/domain/names';
import { Interrupted } from '@bough/store/environment-lock';
import { findEnvironment, writeNoPendingData, writePendingData } from '@bough/store/environments';
import type { Request } from '@bough/store/requests';
import { findSnapshot, type SnapshotRow } from '@bough/store/snapshots';
import type { Context } from '../context.ts';
import type { PlannedRun, StepVoice } from '../deploy/run.ts';
import { type InheritedCredentials, serviceWorkloadId } from '../deploy/services.ts';
import { chooseData, cloneSnapshot } from './choose-data.ts';

/**
 * Gives a preview other data: the newest golden (`sync`), or once more what it started from (`reset`). The data comes in
 * volumes of its own, named after the request, with servers of their own, so that what serves is not touched until the
 * new release serves from it. The row changes with the end of the deployment; until then a crash or a failure leaves the
 * old data in use.
 *
 * Undefined: there is nothing better to be had, and the preview keeps what it has.
 */
export async function replaceData(
  run: PlannedRun,
  request: Request,
  voice: StepVoice,
): Promise<InheritedCredentials | undefined> {
  const { context, environment, lock } = run;
  const pending = environment.dataPending?.requestId === request.id ? environment.dataPending : null;
  const begin = async (change: Omit<DataChange, 'requestId'>) => {
    if (!(await writePendingData(context.pool, lock.fence, { ...change, requestId: request.id })))
      throw new Interrupted('superseded');
    await voice.note(change.note);
  };
  if (pending?.state === 'empty' || (request.kind === 'reset' && environment.dataSnapshotId === null)) {
    const note = `empty again, as ${request.askedBy} asked; the deploy hook seeds it`;
    await begin({ state: 'empty', snapshotId: null, note });
    return {};
  }
  if (request.kind === 'sync') await lookForNewer(context, run.project.id);
  const chosen = await chooseSnapshot(run, request, pending?.snapshotId ?? null, voice);
  if (typeof chosen === 'string') {
    // Half of it may be there: without this the volumes of the old data would no longer be the ones that are meant.
    if (pending !== null && !(await writeNoPendingData(context.pool, lock.fence)))
      throw new Interrupted('superseded');
    await voice.note(`it keeps its data: ${chosen}`);
    return undefined;
  }
  const asked = `${request.kind === 'sync' ? 'newest data' : 'back at its start'}, as ${request.askedBy} asked`;
  const change = { state: 'cloned' as const, snapshotId: chosen.id };
  // Before the first byte: the golden is pinned from now on, and whoever comes after a crash takes the same.
  await begin({ ...change, note: asked });
  const target = { ...run, environment: { ...environment, dataEpoch: request.id } };
  const { credentials, note } = await cloneSnapshot(target, chosen, voice);
  await begin({ ...change, note: `${note}; ${asked}` });
  return credentials;
}

/** Nobody waits for it: the preview gets the newest golden that there is, and its comment says when a newer one is. */
async function lookForNewer(context: Context, projectId: string): Promise<void> {
  await context.enqueue('data', projectId).catch((error: unknown) => {
    context.log.warn({ projectId, error }, 'look at the data not queued; resync looks hourly');
  });
}

/** The golden, or in words why there is none. */
async function chooseSnapshot(
  run: PlannedRun,
  request: Request,
  begun: string | null,
  voice: StepVoice,
): Promise<SnapshotRow | string> {
  const known = begun ?? (request.kind === 'reset' ? run.environment.dataSnapshotId : null);
  // Without a policy there is no data to be had, also none that was had before; that is for `chooseData` to say.
  if (known === null || (run.policy?.data ?? null) === null) {
    const source = await chooseData(run, voice);
    return source.kind === 'none' ? source.reason : source.snapshot;
  }
  const snapshot = await findSnapshot(run.context.pool, known);
  if (snapshot !== undefined) return snapshot;
  throw new BoughError({
    code: 'data-not-attested',
    message: `The golden snapshot ${known} that this preview started from is not known any more.`,
    hint: 'Comment `/bough sync` for the newest data.',
  });
}

/** The environment as it is with the data that is on its way: other volumes, and maybe another way in. */
export function withPendingData(environment: Environment, request: Request | undefined): Environment {
  const change = environment.dataPending;
  if (request === undefined || change?.requestId !== request.id) return environment;
  return {
    ...environment,
    dataEpoch: change.requestId,
    dataState: change.state,
    dataSnapshotId: change.snapshotId,
    dataNote: change.note,
  };
}

/** Removes servers and volumes of data that a preview does not use any more, or never came to use. */
export async function forgetOtherData(context: Context, environmentId: string): Promise<void> {
  const environment = await findEnvironment(context.pool, environmentId);
  // What is on its way belongs to a request that is still open.
  if (environment === undefined || environment.kind !== 'preview' || environment.dataPending !== null) return;
  const current = epochSuffix(environment.dataEpoch);
  const isOther = ({ labels }: { labels: { environmentId: string; installationId: string; name: string } }) =>
    labels.environmentId === environmentId &&
    labels.installationId === context.installationId &&
    (/@\d+$/.exec(labels.name)?.[0] ?? '') !== current;
  const volumes = (await context.storage.list()).filter(isOther);
  const snapshots = (await context.storage.listSnapshots()).filter(isOther);
  if (volumes.length === 0 && snapshots.length === 0) return;
  for (const { id, labels } of await context.engine.list({ environmentId })) {
    if (labels.role === 'service' && id !== serviceWorkloadId({ context, environment }, labels.name))
      await context.engine.remove(id);
  }
  for (const { id } of snapshots) await context.storage.removeSnapshot(id);
  for (const { id } of volumes) await context.storage.remove(id);
}
