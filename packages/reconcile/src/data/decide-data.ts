import { Interrupted } from '@bough/store/environment-lock';
import { writeData } from '@bough/store/environments';
import { findSnapshot } from '@bough/store/snapshots';
import type { PlannedRun, StepVoice } from '../deploy/run.ts';
import type { InheritedCredentials } from '../deploy/services.ts';
import { refuseHeldData } from '../trust/untrusted-tier.ts';
import { chooseData, cloneSnapshot } from './choose-data.ts';
import { goldenCredentials } from './golden-credentials.ts';
import { replaceData } from './replace-data.ts';

/**
 * On an environment's first deployment: decides what data it gets and puts it there. Afterwards the row says what it
 * was and nothing is cloned again. Returns the passwords that cloned files still carry.
 *
 * Fails closed: without a `data:` policy on the default branch, without isolation, or without an attested snapshot,
 * nothing is cloned and the row says why.
 */
export async function ensureData(run: PlannedRun, voice: StepVoice): Promise<InheritedCredentials> {
  const { context, environment } = run;
  if (environment.trust === 'untrusted') refuseHeldData(environment);
  if (environment.dataState !== 'undecided') {
    const replaced =
      run.dataRequest === undefined ? undefined : await replaceData(run, run.dataRequest, voice);
    if (replaced !== undefined) return replaced;
    const snapshot =
      environment.dataSnapshotId === null
        ? undefined
        : await findSnapshot(context.pool, environment.dataSnapshotId);
    if (run.dataRequest === undefined) await voice.note(environment.dataNote ?? 'kept');
    return snapshot === undefined ? {} : goldenCredentials(context.encryption, snapshot);
  }
  const decide = async (state: 'own' | 'empty' | 'cloned', snapshotId: string | null, note: string) => {
    if (!(await writeData(context.pool, run.lock.fence, { state, snapshotId, note })))
      throw new Interrupted('superseded');
    await voice.note(note);
  };
  if (environment.kind === 'production') {
    await decide('own', null, 'its own');
    return {};
  }
  const source = await chooseData(run, voice);
  if (source.kind === 'none') {
    await decide('empty', null, source.reason);
    return {};
  }
  const { credentials, note } = await cloneSnapshot(run, source.snapshot, voice);
  await decide('cloned', source.snapshot.id, note);
  return credentials;
}
