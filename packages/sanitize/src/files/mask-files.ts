import type { FilesReport } from '@bough/domain/data-report';
import type { Finding } from '../finding.ts';
import { copyFiles } from './copy-files.ts';
import type { MaskFiles } from './file-masking.ts';
import { compileFileRules } from './file-rules.ts';
import { surveyFiles, undecidedFinding } from './survey-files.ts';
import { verifyFiles } from './verify-files.ts';

export type MaskedFiles =
  | { readonly kind: 'masked'; readonly report: FilesReport }
  | { readonly kind: 'findings'; readonly findings: readonly Finding[] };

/**
 * Makes a tree of what the rules let through, beside the one that production wrote: what is dropped was never in it, not even as
 * the trace of a name. Directories come with the first file that needs them. Nothing is made when a file is undecided.
 *
 * A file with several names becomes as little as the strictest of their rules makes of it. Special files are left out. Links stay
 * where they lead to something that stayed, inside.
 */
export async function maskFiles(of: MaskFiles): Promise<MaskedFiles> {
  const decide = compileFileRules(of.rules);
  const survey = await surveyFiles(of, decide);
  if (survey.undecided.count > 0 && of.unmatched === 'fail')
    return { kind: 'findings', findings: [undecidedFinding(of, survey.undecided)] };
  const report = await copyFiles(of, decide, survey);
  const findings = await verifyFiles(of, { decide, restricted: survey.restricted, report });
  return findings.length > 0 ? { kind: 'findings', findings } : { kind: 'masked', report };
}
