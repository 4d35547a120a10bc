import type { PublicKey } from '@bough/domain/attestation-key';
import type { Attestation } from './attestation.ts';
import { isReportOf, signerOf } from './attestation.ts';

/** What is wrong with a report, in words; null: these keys signed the facts, and the facts name this report. Pure. */
export function faultOfReport(
  attestation: Pick<Attestation, 'facts' | 'signature'>,
  report: unknown,
  keys: readonly PublicKey[],
): string | null {
  if (signerOf(attestation, keys) === undefined) return 'the signature is of none of these keys';
  // Older than reports: the facts are all that there is, and they are signed.
  if (report === null) return attestation.facts.report === undefined ? null : 'its report is gone';
  return isReportOf(attestation.facts, report) ? null : 'the report is not the one that was signed';
}
