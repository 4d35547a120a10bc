import type { PublicKey } from '@bough/domain/attestation-key';
import { DataReport } from '@bough/domain/data-report';
import { Attestation, attestedText, signerOf } from '@bough/reconcile/data/attestation';
import { faultOfReport } from '@bough/reconcile/data/check-report';
import type { Database } from '@bough/store/database';
import { findSnapshot, newestFrozenSnapshot, readSnapshotReport } from '@bough/store/snapshots';
import { z } from 'zod';
import { notFound } from './problem.ts';

/** A golden's signed report as the API and its page show it. */
export const DataReportView = z.object({
  goldenId: z.string(),
  projectId: z.string(),
  state: z.string().describe('frozen: it can be cloned; removed: its data is gone and the report stays'),
  fault: z
    .string()
    .nullable()
    .describe('Why it does not hold, by the keys that this installation has now; null: it does'),
  report: DataReport.nullable().describe('null: made before Bough wrote reports'),
  attestation: Attestation.describe('`facts.report` is SHA-256 over the canonical JSON of `report`'),
  text: z.string().describe('What `attestation.signature` (Ed25519) signs, byte for byte'),
  publicKey: z.string().nullable().describe('PEM; null: none of ours signed it'),
});
export type DataReportView = z.infer<typeof DataReportView>;

/** Of the newest golden, or of the one with this id. */
export async function readDataReport(
  db: Database,
  keys: readonly PublicKey[],
  of: { projectId: string; goldenId?: string | undefined } | { goldenId: string },
): Promise<DataReportView> {
  const row = /^\d{1,18}$/.test(of.goldenId ?? '')
    ? await findSnapshot(db, of.goldenId ?? '')
    : 'projectId' in of && of.goldenId === undefined
      ? await newestFrozenSnapshot(db, of.projectId)
      : undefined;
  const attestation = Attestation.safeParse(row?.attestation);
  const isOfProject = !('projectId' in of) || of.projectId === row?.projectId;
  if (row === undefined || !attestation.success || !isOfProject)
    throw notFound(
      of.goldenId === undefined ? 'golden snapshot of this project' : `signed golden snapshot ${of.goldenId}`,
      '`bough data show <project>` lists them; `bough data refresh <project>` makes one.',
    );
  const stored = await readSnapshotReport(db, row.id);
  const report = DataReport.nullable().safeParse(stored);
  return {
    goldenId: row.id,
    projectId: row.projectId,
    state: row.state,
    fault: faultOfReport(attestation.data, stored, keys),
    report: report.success ? report.data : null,
    attestation: attestation.data,
    text: attestedText(attestation.data.facts),
    publicKey: signerOf(attestation.data, keys)?.pem ?? null,
  };
}
