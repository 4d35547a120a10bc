import { z } from 'zod';

/** `not measured` is its own word: nobody may read it as a pass. */
export const rehearsalVerdicts = ['pass', 'fail', 'not measured'] as const;
export type RehearsalVerdict = (typeof rehearsalVerdicts)[number];

/** One of the things that a rehearsal asks beside the stalls. */
export const RehearsalCheck = z.object({ verdict: z.enum(rehearsalVerdicts), note: z.string() });
export type RehearsalCheck = z.infer<typeof RehearsalCheck>;

/** One statement of the deploy hook, or one command of a text with several. Times in milliseconds. */
export const RehearsedStatement = z.object({
  /** Without the values in it. */
  text: z.string(),
  durationMs: z.number(),
  /** How long a visitor's query waited because of it; null: nobody asked that table meanwhile. */
  readStallMs: z.number().nullable(),
  writeStallMs: z.number().nullable(),
  /** Tables whose every row it wrote anew. */
  rewrites: z.array(z.string()),
  /** The strongest lock that it took on a table that was there before, and how long that was held. */
  lock: z.object({ mode: z.string(), table: z.string(), heldMs: z.number() }).nullable(),
  /** Of the table, about; of the change, where only one statement changed that table. */
  rows: z.number().nullable(),
  /** Written to the log of changes (WAL) meanwhile, what the probes wrote included. */
  walBytes: z.number().nullable(),
});
export type RehearsedStatement = z.infer<typeof RehearsedStatement>;

/** A table that was asked again and again while the hook ran. */
export const RehearsedTable = z.object({
  table: z.string(),
  rows: z.number(),
  bytesBefore: z.number(),
  bytesAfter: z.number().nullable(),
  readStallMs: z.number().nullable(),
  writeStallMs: z.number().nullable(),
  /** The longest wait for a lock on it as the server's own log has it; the stall must agree. */
  serverWaitMs: z.number().nullable(),
  /** Queries of ours that it answered. */
  probes: z.number(),
  touched: z.boolean(),
});
export type RehearsedTable = z.infer<typeof RehearsedTable>;

/** What observers saw of a migration on one server. */
export const Measurement = z.object({
  /** Of the hook, not of what is around it. */
  durationMs: z.number(),
  statements: z.array(RehearsedStatement),
  /** That were too short, or too many, to be listed. */
  statementsLeftOut: z.number(),
  tables: z.array(RehearsedTable),
  readStallMs: z.number().nullable(),
  writeStallMs: z.number().nullable(),
  /** The longest answer while nothing waited for a lock: the machine's own noise. */
  noiseMs: z.number(),
  /** The longest time between two looks at the locks. */
  blindMs: z.number(),
  walBytes: z.number(),
  schema: z.object({
    added: z.array(z.string()),
    removed: z.array(z.string()),
    changed: z.array(z.object({ what: z.string(), before: z.string(), after: z.string() })),
    leftOut: z.number(),
  }),
  /** Indexes that are not valid now and were not before. */
  invalidIndexes: z.array(z.string()),
  /** Anything changed the schema or the catalogue, also when it changed it back. */
  pending: z.boolean(),
  /** What an observer could not see, in words. Not empty: the verdict cannot be a pass. */
  blind: z.array(z.string()),
});
export type Measurement = z.infer<typeof Measurement>;

/** A rehearsal as it is stored, shown by the API and put into the comment. */
export const RehearsalReport = z.object({
  verdict: z.enum(rehearsalVerdicts),
  /** Why, in sentences: never empty unless it passed. */
  reasons: z.array(z.string()),
  stallBudgetMs: z.number(),
  golden: z
    .object({ snapshotId: z.string(), capturedAt: z.string().nullable(), sanitize: z.string() })
    .nullable(),
  /** What the hook could reach while it ran. */
  network: z.string().nullable(),
  /** Service → what was seen of it. */
  services: z.record(z.string(), Measurement),
  hook: RehearsalCheck,
  /** What the hook said last when it failed. */
  tail: z.array(z.string()),
  /** The hook run once more on the migrated data. */
  again: RehearsalCheck,
  /** The release that serves production now, on the migrated data. */
  previous: RehearsalCheck,
});
export type RehearsalReport = z.infer<typeof RehearsalReport>;
