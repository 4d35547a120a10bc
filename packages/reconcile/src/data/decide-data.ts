import { sanitizeLabel } from '@bough/sanitize/policy-digest';
import { Interrupted } from '@bough/store/environment-lock';
import { writeData } from '@bough/store/environments';
import { findSnapshot } from '@bough/store/snapshots';
import type { PlannedRun, StepVoice } from '../deploy/run.ts';
import type { InheritedCredentials } from '../deploy/services.ts';
import { AttestedSnapshot } from './attestation.ts';
import { goldenCredentials } from './capture.ts';
import { cloneGolden } from './clone.ts';
import { findOrCaptureGolden, type GoldenSource } from './golden.ts';
import { unfitNote } from './sanitize-capture.ts';

/**
 * On an environment's first deployment: decides what data it gets and puts it there. Afterwards the row says what it
 * was and nothing is cloned again. Returns the passwords that cloned files still carry.
 *
 * Fails closed: without a `data:` policy on the default branch, without isolation, or without an attested snapshot,
 * nothing is cloned and the row says why.
 */
export async function ensureData(run: PlannedRun, voice: StepVoice): Promise<InheritedCredentials> {
  const { context, environment, policy } = run;
  if (environment.dataState !== 'undecided') {
    const snapshot =
      environment.dataSnapshotId === null
        ? undefined
        : await findSnapshot(context.pool, environment.dataSnapshotId);
    await voice.note(environment.dataNote ?? 'kept');
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
  if (run.plan.common.services.length === 0 && run.plan.common.apps.every((app) => app.mounts.length === 0)) {
    await decide('empty', null, 'the project keeps none');
    return {};
  }
  if (policy?.data === null || policy === null) {
    await decide(
      'empty',
      null,
      policy?.note ??
        'the default branch has no `data:` policy, so services start empty and the deploy hook seeds them',
    );
    return {};
  }
  if (!context.isolation.ok) {
    await decide(
      'empty',
      null,
      `no data is cloned because this machine cannot isolate previews: ${context.isolation.reason ?? 'unknown'}`,
    );
    return {};
  }
  const { sanitize } = policy.data;
  const source = await findOrCaptureGolden(context, {
    project: run.project,
    policy,
    data: policy.data,
    lock: run.lock,
    voice,
  }).catch((error: unknown): GoldenSource => {
    const reason = unfitNote(error);
    if (reason === undefined) throw error;
    return { kind: 'none', reason };
  });
  if (source.kind === 'none') {
    await decide('empty', null, source.reason);
    return {};
  }
  const golden = AttestedSnapshot.verify(context.signingKey, source.snapshot, {
    sanitize: sanitizeLabel(sanitize),
  });
  const startedAt = performance.now();
  const { cloned, left } = await cloneGolden(run, golden, voice);
  const note = [
    `clone of ${run.project.slug} (${cloned.join(', ') || 'nothing to clone'}), made by ${context.storage.kind} in ${Math.round(performance.now() - startedAt)} ms`,
    ...left,
  ].join('; ');
  await decide('cloned', source.snapshot.id, note);
  return goldenCredentials(context.encryption, source.snapshot);
}
