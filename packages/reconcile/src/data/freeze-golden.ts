import { BoughError } from '@bough/domain/bough-error';
import { Secret } from '@bough/domain/secret';
import { canonicalDigest } from '@bough/manifest/canonical-json';
import { sourceDigest } from '@bough/manifest/source-digest';
import { freezeSnapshot, type SnapshotRow } from '@bough/store/snapshots';
import { type AttestedFacts, attest } from './attestation.ts';
import type { Together } from './capture-together.ts';
import { dataReport } from './data-report.ts';
import type { Capturing } from './golden-parts.ts';

/** Signs what the golden is made of, and makes it one that can be cloned. */
export async function freezeGolden(
  capturing: Capturing,
  of: { capturedAt: Date; taken: Together },
): Promise<SnapshotRow> {
  const { parent, row, parts } = capturing;
  const { context } = parent;
  const report = reportOf(capturing, of);
  const frozen = {
    volumes: parts.volumes,
    credentialsEncrypted: context.encryption.encrypt(
      new Secret(JSON.stringify(parts.credentials)),
      `snapshot:${row.id}`,
    ),
    attestation: attest(context.attestationKeys, {
      ...factsOf(capturing, of),
      report: canonicalDigest(report),
    }),
    report,
    sizeBytes: parts.made.reduce((sum, snapshot) => sum + snapshot.sizeBytes, 0),
    capturedAt: of.capturedAt,
  };
  if (!(await freezeSnapshot(context.pool, row.id, frozen))) throw givenUp();
  return {
    ...row,
    ...frozen,
    state: 'frozen',
    sizeBytes: String(frozen.sizeBytes),
    frozenAt: context.clock.now(),
  };
}

function reportOf(
  { parent, row, policy, parts }: Capturing,
  { capturedAt, taken }: { capturedAt: Date; taken: Together },
): ReturnType<typeof dataReport> {
  const { services, origins, files, keys } = parts;
  return dataReport(parent, {
    ...{ why: policy.why, capturedAt, services, sources: origins, files, keys },
    mounts: [...taken.mounts.keys()],
    policy: { commit: policy.commit, sanitize: row.sanitize },
  });
}

function factsOf(
  { parent, row, policy, rules, parts }: Capturing,
  { capturedAt, taken }: { capturedAt: Date; taken: Together },
): Omit<AttestedFacts, 'report'> {
  const { masking, files, keys, volumes } = parts;
  return {
    snapshotId: row.id,
    environmentId: policy.isElsewhere === true ? null : parent.environment.id,
    projectId: parent.project.id,
    sanitize: row.sanitize,
    source: sourceDigest(policy.source ?? {}),
    policyCommit: policy.commit,
    ...(rules === null ? {} : { masking, files }),
    ...(parts.keyed.length === 0 ? {} : { keys }),
    volumes,
    capturedAt: capturedAt.toISOString(),
    span: taken.span,
    installationId: parent.context.installationId,
  };
}

/** Its own lock was lost for a while, and resync took it for dead. */
function givenUp(): BoughError {
  return new BoughError({
    code: 'capture-given-up',
    message: 'The capture was taken for dead while it ran, and its parts were removed.',
    hint: 'Bough tries again; the previous golden snapshot stays in use.',
    retryable: true,
  });
}
