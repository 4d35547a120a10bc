import { BoughError } from '@bough/domain/bough-error';
import { sourceDigest } from '@bough/manifest/source-digest';
import { sanitizeLabel } from '@bough/sanitize/policy-digest';
import { findSnapshot, type SnapshotRow } from '@bough/store/snapshots';
import type { PlannedRun, StepVoice } from '../deploy/run.ts';
import type { InheritedCredentials } from '../deploy/services.ts';
import { NO_DATA, refuseToStrangers } from '../trust/untrusted-tier.ts';
import { AttestedSnapshot } from './attestation.ts';
import { spanWords } from './capture-together.ts';
import { cloneGolden } from './clone.ts';
import { findOrCaptureGolden, type GoldenSource } from './golden.ts';
import { goldenCredentials } from './golden-credentials.ts';
import { unfitNote } from './sanitize-capture.ts';

/** The newest golden that a preview may be cloned from, or in words why there is none. */
export async function chooseData(run: PlannedRun, voice: StepVoice): Promise<GoldenSource> {
  const { context, policy, project, lock } = run;
  if (run.plan.common.services.length === 0 && run.plan.common.apps.every((app) => app.mounts.length === 0))
    return { kind: 'none', reason: 'the project keeps none' };
  if (run.environment.trust === 'untrusted') return { kind: 'none', reason: NO_DATA };
  if (policy === null || policy.data === null) {
    const absent =
      'the default branch has no `data:` policy, so services start empty and the deploy hook seeds them';
    return { kind: 'none', reason: policy?.note ?? absent };
  }
  if (!context.isolation.ok) {
    const why = context.isolation.reason ?? 'unknown';
    return {
      kind: 'none',
      reason: `no data is cloned because this machine cannot isolate previews: ${why}`,
    };
  }
  // It begins with what it was branched of; who asks for newer data by `sync` later asks for production's.
  const branchOf = run.environment.dataState === 'undecided' ? run.environment.branchOf : null;
  if (branchOf?.data === 'none')
    return { kind: 'none', reason: 'it was branched with `--data none`; the deploy hook seeds it' };
  if (branchOf !== null && branchOf.snapshotId !== null)
    return { kind: 'golden', snapshot: await goldenOf(run, branchOf.snapshotId) };
  return await findOrCaptureGolden(context, { project, policy, data: policy.data, lock, voice }).catch(
    (error: unknown): GoldenSource => {
      const reason = unfitNote(error);
      if (reason === undefined) throw error;
      return { kind: 'none', reason };
    },
  );
}

/** The very golden that a branch's source descends from. Its row pins it, so it is there unless somebody took it away. */
async function goldenOf({ context, environment, project }: PlannedRun, id: string): Promise<SnapshotRow> {
  const snapshot = await findSnapshot(context.pool, id);
  if (snapshot !== undefined && snapshot.projectId === project.id && snapshot.state === 'frozen')
    return snapshot;
  throw new BoughError({
    code: 'data-not-attested',
    message: `The golden snapshot ${id} that ${environment.branchOf?.from ?? 'its source'} came from is gone.`,
    hint: `Remove it (bough env delete ${environment.slug}) and branch again, from production or with --data none.`,
  });
}

/** Makes the run's volumes from a golden, which must be as the policy of the default branch wants it now. */
export async function cloneSnapshot(
  run: PlannedRun,
  snapshot: SnapshotRow,
  voice: StepVoice,
): Promise<{ credentials: InheritedCredentials; note: string }> {
  const { context, policy } = run;
  refuseToStrangers(run);
  if (policy === null || policy.data === null)
    throw new BoughError({
      code: 'data-not-attested',
      message: 'The default branch has no data policy any more, so nothing is cloned.',
      hint: 'Add `data:` to the manifest of the default branch.',
    });
  const golden = AttestedSnapshot.verify(context.attestationKeys, snapshot, {
    sanitize: sanitizeLabel(policy.data.sanitize),
    source: sourceDigest(policy.data.source),
  });
  const startedAt = performance.now();
  const { cloned, left } = await cloneGolden(run, golden, voice);
  const tookMs = Math.round(performance.now() - startedAt);
  const note = [
    `clone of ${run.project.slug} (${cloned.join(', ') || 'nothing to clone'}), made by ${context.storage.kind} in ${tookMs} ms`,
    ...apart(golden),
    ...left,
  ].join('; ');
  return { credentials: goldenCredentials(context.encryption, snapshot), note };
}

/** Said where the parts of a golden are not of one instant. */
function apart({ facts: { span } }: AttestedSnapshot): string[] {
  return span === undefined || span.instant ? [] : [`captured ${spanWords(span)}`];
}
