import type { DataReport, FilesReport, KeysReport, ServiceReport } from '@bough/domain/data-report';
import type { PlannedService } from '@bough/manifest/plan';
import { detectors } from '@bough/manifest/sanitize-policy';
import { sanitizerVersion } from '@bough/sanitize/policy-digest';
import type { FileScan } from '@bough/sanitize/scan-files';
import type { CaptureRun } from '../deploy/run.ts';
import type { MaskingFacts, Sanitized } from './sanitize-capture.ts';

/** A schema with more columns is proved all the same; its report lists the first. */
const decisionsMax = 10_000;

/** What was done to one service, once no file of it holds anything of production. */
export interface ProvedService {
  readonly sanitized: Sanitized;
  readonly scan: FileScan;
}

/** Pure. */
export function maskingFacts({ sanitized, scan }: ProvedService): MaskingFacts {
  const { detected: _, decisions: __, ...counts } = sanitized.report;
  return {
    schemaDigest: sanitized.schemaDigest,
    counts: { ...counts, filesScanned: scan.files, bytesScanned: scan.bytes },
  };
}

/** Pure. Where canaries, samples or bytes were found there is no golden, so what stands here as found is none. */
export function serviceReport(
  planned: PlannedService,
  version: string,
  { sanitized, scan }: ProvedService,
): ServiceReport {
  const { report, schemaDigest } = sanitized;
  const { databases, tables, columns, columnsMasked, rows, referencesChecked } = report;
  return {
    schemaDigest,
    filesDigest: scan.digest,
    engine: { type: planned.toolchain.want, version, digest: planned.toolchain.digest },
    counts: { databases, tables, columns, columnsMasked, rows, referencesChecked },
    canaries: {
      planted: report.canariesPlanted,
      columns: report.canaryColumns,
      tablesWithout: report.tablesWithoutCanary,
      found: 0,
    },
    samples: { taken: report.valuesSampled, found: 0 },
    detectors: Object.fromEntries(
      detectors.map((kind) => {
        const seen = report.detected[kind];
        return [kind, { allowedColumns: seen.columns, allowedRows: seen.rows }];
      }),
    ),
    scanned: { columns: report.columnsScanned, rows: report.rowsScanned },
    byteScan: { files: scan.files, bytes: scan.bytes, hits: scan.count },
    decisions: report.decisions.slice(0, decisionsMax).map(({ where, rule }) => ({ where, rule })),
    decisionsLeftOut: Math.max(0, report.decisions.length - decisionsMax),
  };
}

/** Pure but for the clock. */
export function dataReport(
  parent: CaptureRun,
  of: {
    why: string;
    policy: { commit: string; sanitize: string };
    capturedAt: Date;
    services: Readonly<Record<string, ServiceReport>>;
    /** Service → what it was read from, for those that come from elsewhere. */
    sources: Readonly<Record<string, string>>;
    mounts: readonly string[];
    files: Readonly<Record<string, FilesReport>>;
    keys: Readonly<Record<string, KeysReport>>;
  },
): DataReport {
  const { context, project, commit } = parent;
  return {
    project: project.slug,
    why: of.why.slice(0, 500),
    policy: {
      commit: of.policy.commit,
      sanitize: of.policy.sanitize === 'none' ? 'none' : 'rules',
      digest: of.policy.sanitize,
      sanitizerVersion,
    },
    ...(Object.keys(of.sources).length === 0 ? {} : { sources: of.sources }),
    sourceCommit: commit,
    storage: context.storage.kind,
    capturedAt: of.capturedAt.toISOString(),
    finishedAt: context.clock.now().toISOString(),
    services: of.services,
    mounts: of.mounts.filter((volume) => of.files[volume] === undefined),
    files: of.files,
    ...(Object.keys(of.keys).length === 0 ? {} : { keys: of.keys }),
  };
}
