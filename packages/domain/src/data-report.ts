import { z } from 'zod';

const Count = z.number().int().nonnegative();

/** What one kind of detector saw in the masked data. What it may not see fails the golden, so these are allowed by a rule. */
const DetectorReport = z.object({ allowedColumns: Count, allowedRows: Count });

/** What was done to one service's data and what was looked at: counts, names and rules, never a value. */
export const ServiceReport = z.object({
  /** Of all tables, columns and types that production had. */
  schemaDigest: z.string(),
  /** Of the names and bytes of all files that were frozen. */
  filesDigest: z.string(),
  /** The server's program: `postgresql:17`, its exact version and the digest of its files. */
  engine: z.object({ type: z.string(), version: z.string(), digest: z.string() }),
  counts: z.object({
    databases: Count,
    tables: Count,
    columns: Count,
    columnsMasked: Count,
    rows: Count,
    referencesChecked: Count,
  }),
  /** Rows with unmistakable values, planted before masking; `found` of them afterwards. */
  canaries: z.object({ planted: Count, columns: Count, tablesWithout: Count, found: Count }),
  /** Values of masked columns of production that were looked for in every column. */
  samples: z.object({ taken: Count, found: Count }),
  /** Kind → what it saw in all columns. */
  detectors: z.record(z.string(), DetectorReport),
  scanned: z.object({ columns: Count, rows: Count }),
  /** Of all files after the clean stop, for canaries and samples. */
  byteScan: z.object({ files: Count, bytes: Count, hits: Count }),
  /** Column → rule, `keep` with its reason; a table that was emptied is one line. */
  decisions: z.array(z.object({ where: z.string(), rule: z.string() })),
  decisionsLeftOut: Count,
});
export type ServiceReport = z.infer<typeof ServiceReport>;

/** What became of a mount's files where rules decided them one by one: counts, never a name. */
export const FilesReport = z.object({
  files: Count,
  allowed: Count,
  placeholders: Count,
  dropped: Count,
  links: Count,
  /** Links that leave the mount, or lead to what is left out. */
  linksDropped: Count,
  /** Sockets, pipes, devices. */
  specialDropped: Count,
  bytesAllowed: Count,
});
export type FilesReport = z.infer<typeof FilesReport>;

/** `12 files as they are, 300 placeholders, 20 left out`. */
export function filesWords(report: FilesReport): string {
  const out = report.dropped + report.linksDropped + report.specialDropped;
  return `${report.allowed + report.links} files as they are, ${report.placeholders} placeholders, ${out} left out`;
}

/** What became of a Redis's keys where rules named some of them: counts and patterns, never a name or a value. */
export const KeysReport = z.object({
  engine: z.object({ type: z.string(), version: z.string(), digest: z.string() }),
  /** Names that production had, in all its databases. */
  scanned: Count,
  /** Those that are in the golden. */
  kept: Count,
  /** Those that a pattern names and a queue keeps. */
  queues: Count,
  /** Pattern → how many keys it let through. None is no mistake: caches come and go. */
  patterns: z.array(z.object({ allow: z.string(), keys: Count })),
  /** Kind → in how many names and values that are kept it was found, where a rule says that it may be. */
  detectors: z.record(z.string(), Count),
  /** Names and values of keys that were left out and looked for in the files. */
  samples: z.object({ taken: Count, found: Count }),
  byteScan: z.object({ files: Count, bytes: Count, hits: Count }),
  filesDigest: z.string(),
});
export type KeysReport = z.infer<typeof KeysReport>;

/** `120 keys of 3 patterns, 14 left out as queues`. */
export function keysWords({ kept, queues, patterns }: KeysReport): string {
  const met = patterns.filter(({ keys }) => keys > 0).length;
  const plural = (count: number, word: string) => `${count} ${word}${count === 1 ? '' : 's'}`;
  const empty = patterns.length - met;
  return [
    `${plural(kept, 'key')} of ${plural(met, 'pattern')}`,
    ...(empty === 0 ? [] : [`${plural(empty, 'pattern')} matched nothing`]),
    ...(queues === 0 ? [] : [`${queues} left out as queues`]),
  ].join(', ');
}

/** What a golden is and why it may be shown, for people: signed with it, stored, and kept after its data is gone. */
export const DataReport = z.object({
  project: z.string(),
  /** Who or what asked for it. */
  why: z.string(),
  policy: z.object({
    commit: z.string(),
    /** `none`: raw. */
    sanitize: z.string(),
    /** Of the rules, the masker's version included. */
    digest: z.string(),
    sanitizerVersion: Count,
  }),
  /** Service → what its data was read from, where production runs elsewhere: "PostgreSQL 16, a standby …". */
  sources: z.record(z.string(), z.string()).optional(),
  /** What production ran when it was captured. */
  sourceCommit: z.string(),
  storage: z.string(),
  capturedAt: z.string(),
  finishedAt: z.string(),
  /** Empty where nothing was masked. */
  services: z.record(z.string(), ServiceReport),
  /** Mounts that are in it: byte by byte as production has them, or what `files` says was left of them. */
  mounts: z.array(z.string()),
  /** Mounts of whose files rules decided. Absent in reports from before there were such rules. */
  files: z.record(z.string(), FilesReport).optional(),
  /** Services of which keys were copied. Absent where none were. */
  keys: z.record(z.string(), KeysReport).optional(),
});
export type DataReport = z.infer<typeof DataReport>;
