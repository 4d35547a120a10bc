import { readFile } from 'node:fs/promises';
import { openPublicKey, type PublicKey } from '@bough/domain/attestation-key';
import { BoughError } from '@bough/domain/bough-error';
import {
  DataReport,
  filesWords,
  type KeysReport,
  keysWords,
  type ServiceReport,
} from '@bough/domain/data-report';
import { Attestation } from '@bough/reconcile/data/attestation';
import { faultOfReport } from '@bough/reconcile/data/check-report';
import type { Command } from 'commander';
import { z } from 'zod';
import { EXIT } from '../output.ts';
import type { VerbContext } from '../verb.ts';

/** As the API gives it and `--json` prints it. */
const SignedReport = z.object({
  goldenId: z.string(),
  report: DataReport.nullable(),
  attestation: Attestation,
});
type SignedReport = z.infer<typeof SignedReport>;
const Keys = z.object({ keys: z.array(z.object({ publicKey: z.string() })) });

interface Options {
  readonly golden?: string;
  readonly verify?: true;
  readonly key?: string;
  readonly file?: string;
}

/** `bough data report`: what a golden is and how it was proved; verified here, not by whoever sent it. */
export function dataReportVerb(data: Command, context: VerbContext): void {
  data
    .command('report [project]')
    .description('the signed report of a golden snapshot; exit code 3 when it does not hold')
    .option('--golden <id>', 'that one; left out: the newest')
    .option('--verify', 'check signature and report with the public keys that Bough names')
    .option('--key <file>', 'check them with this public key (PEM) instead, which somebody else keeps')
    .option('--file <file>', 'read a report that was kept (--json), without asking any Bough, with --key')
    .action(async (project: string | undefined, options: Options) => {
      const text = options.file === undefined ? undefined : await readFile(options.file, 'utf8');
      const answer = text === undefined ? await ask(context, project, options) : parse(text);
      const signed = SignedReport.safeParse(answer);
      if (!signed.success) throw notAReport();
      const keys = await keysFor(context, options);
      const fault =
        keys === undefined ? undefined : faultOfReport(signed.data.attestation, signed.data.report, keys);
      const result = fault === undefined ? answer : { ...(answer as object), fault };
      context.output.result(result, () => describe(signed.data, fault));
      if (fault !== undefined && fault !== null) process.exitCode = EXIT.unwell;
    });
}

async function ask(context: VerbContext, project: string | undefined, { golden }: Options): Promise<unknown> {
  if (project === undefined)
    throw new BoughError({
      code: 'usage',
      message: 'Whose report?',
      hint: 'Write bough data report <project>, or --file <file> for one that was kept.',
    });
  const query = golden === undefined ? '' : `?golden=${encodeURIComponent(golden)}`;
  return await (await context.api()).get(`/projects/${encodeURIComponent(project)}/data/report${query}`);
}

async function keysFor(context: VerbContext, options: Options): Promise<PublicKey[] | undefined> {
  if (options.key !== undefined) return [openKey(await readFile(options.key, 'utf8'), options.key)];
  if (options.verify === undefined) return undefined;
  const { keys } = Keys.parse(await (await context.api()).get('/attestation-keys'));
  return keys.map(({ publicKey }) => openKey(publicKey, 'the answer of Bough'));
}

function openKey(pem: string, where: string): PublicKey {
  try {
    return openPublicKey(pem);
  } catch (cause) {
    throw new BoughError({
      code: 'usage',
      message: `There is no public key of Ed25519 in ${where}.`,
      hint: 'GET /api/v1/attestation-keys gives it, as PEM.',
      cause,
    });
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw notAReport();
  }
}

function notAReport(): BoughError {
  return new BoughError({
    code: 'report-unreadable',
    message: 'This is not a signed report of a golden snapshot.',
    hint: 'Keep what `bough data report <project> --json` prints, or use the version of Bough that wrote it.',
  });
}

function describe({ goldenId, report, attestation }: SignedReport, fault: string | null | undefined): string {
  const lines = [`golden      ${goldenId}`, `signed by   ${attestation.keyId} (Ed25519)`];
  if (fault !== undefined)
    lines.push(`verified    ${fault === null ? 'yes: the signature and the report hold' : `NO: ${fault}`}`);
  if (report === null)
    return [...lines, 'report      none: it was made before Bough wrote reports'].join('\n');
  const { policy } = report;
  lines.push(
    `captured    ${report.capturedAt} (${report.why})`,
    `rules       ${policy.sanitize === 'none' ? 'RAW: sanitize: none' : policy.digest}, of commit ${policy.commit.slice(0, 12)}`,
    `made with   sanitizer ${policy.sanitizerVersion}, storage ${report.storage}`,
    ...Object.entries(report.sources ?? {}).map(([service, words]) => `read from   ${service}: ${words}`),
    ...(report.mounts.length > 0 ? [`mounts      ${report.mounts.join(', ')}`] : []),
    ...Object.entries(report.files ?? {}).map(
      ([volume, files]) => `files       ${volume}: ${filesWords(files)}`,
    ),
    ...Object.entries(report.keys ?? {}).flatMap(([name, keys]) => ['', ...keysLines(name, keys)]),
    ...Object.entries(report.services).flatMap(([name, service]) => ['', ...serviceLines(name, service)]),
  );
  return lines.join('\n');
}

function keysLines(name: string, of: KeysReport): string[] {
  const { byteScan, samples } = of;
  const seen = Object.entries(of.detectors).map(([kind, count]) => `${kind} in ${count}, by rule`);
  return [
    `${name} (${of.engine.type}, ${of.engine.version})`,
    `  keys       ${keysWords(of)}; ${of.scanned} in production`,
    ...of.patterns.map(({ allow, keys }) => `  pattern    ${JSON.stringify(allow)}: ${keys}`),
    `  detectors  ${seen.join('; ') || 'nothing'}`,
    `  samples    ${samples.taken} left out and looked for, ${samples.found} found`,
    `  bytes      ${byteScan.bytes} in ${byteScan.files} files, ${byteScan.hits} hits`,
    `  files      ${of.filesDigest}`,
  ];
}

function serviceLines(name: string, of: ServiceReport): string[] {
  const { counts, canaries, samples, byteScan, scanned, detectors } = of;
  const allowed = Object.entries(detectors).filter(([, { allowedRows }]) => allowedRows > 0);
  const shown = allowed.map(([kind, seen]) => `${kind} in ${seen.allowedColumns} column(s), by rule`);
  return [
    `${name} (${of.engine.type}, ${of.engine.version})`,
    `  schema     ${of.schemaDigest}`,
    `  files      ${of.filesDigest}`,
    `  masked     ${counts.columnsMasked} of ${counts.columns} columns in ${counts.tables} tables, ${counts.rows} rows`,
    `  canaries   ${canaries.planted} planted, ${canaries.found} found (${canaries.tablesWithout} tables could take none)`,
    `  samples    ${samples.taken} values of production looked for, ${samples.found} found`,
    `  detectors  ${Object.keys(detectors).join(', ')}: ${shown.join('; ') || 'nothing'}`,
    `  read       ${scanned.columns} columns, ${scanned.rows} rows`,
    `  bytes      ${byteScan.bytes} in ${byteScan.files} files, ${byteScan.hits} hits`,
  ];
}
