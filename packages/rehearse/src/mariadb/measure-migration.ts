import type { Measurement } from '@bough/domain/rehearsal';
import { longestStall, noise } from '../attribute.ts';
import { openProbes, type Probes } from '../probes.ts';
import { compareSchemas, type Schema } from '../schema.ts';
import type { ObservedServer } from '../session.ts';
import { namesIn } from '../statement-text.ts';
import type { UserTable } from '../tables.ts';
import { askMariadb } from './ask-mariadb.ts';
import { attribute } from './attribute.ts';
import { type Samples, startSampler } from './sampler.ts';
import { readSchema } from './schema.ts';
import { withSession } from './session.ts';
import { endStatementLog, startStatementLog } from './statement-log.ts';
import { listSchemas, listTables, readFiles, type TableFiles } from './tables.ts';

export interface MariadbMigration {
  readonly server: ObservedServer;
  /** The schema that the application uses by default, whose tables are named without it. */
  readonly schema: string;
  /** The migration itself. What it throws is thrown on, once the observers are gone. */
  readonly run: () => Promise<void>;
}

/**
 * Runs a migration on a MariaDB that is there for nothing else, under three observers: what each session does, every few
 * milliseconds; a reader and a writer for each table that matters, who feel what visitors would feel; and the server's
 * own log of statements with their durations. Leaves no trace in the databases.
 */
export async function measureMariadbMigration(migration: MariadbMigration): Promise<Measurement> {
  const { server } = migration;
  const before = await lookAround(migration);
  await startStatementLog(server);
  const probes = openProbes((table, kind) => askMariadb(server, table, kind), {
    ...{ tables: before.tables, hottest: [] },
  });
  const sampler = await startSampler(server, {
    own: probes.pids,
    onWaiting: probes.noteWaiting,
    onStatement: (schema, sql) => noteTouched(probes, before.tables, schema, sql),
  });
  let durationMs = 0;
  let results: Awaited<ReturnType<Probes['stop']>>;
  let samples: Samples;
  try {
    await probes.warmUp();
    const startedAt = performance.now();
    await migration.run();
    durationMs = Math.round(performance.now() - startedAt);
  } finally {
    results = await probes.stop();
    samples = await sampler.stop();
  }
  const log = await endStatementLog(server);
  const { probes: asked } = results;
  const after = await lookAround(migration);
  const schema = compareSchemas(before.schema, after.schema);
  const attributed = attribute({
    ...{ statements: log.statements, samples, probes: asked, tables: before.tables },
    ...{ before: before.files, after: after.files },
  });
  return {
    ...attributed,
    statementsLeftOut: attributed.statementsLeftOut + log.leftOut,
    durationMs,
    readStallMs: longestStall(asked, 'read'),
    writeStallMs: longestStall(asked, 'write'),
    noiseMs: noise(asked),
    blindMs: Math.round(samples.blindMs),
    walBytes: Math.round(samples.writtenBytes),
    schema,
    invalidIndexes: [],
    pending:
      attributed.statements.some(({ rewrites }) => rewrites.length > 0) ||
      schema.added.length + schema.removed.length + schema.changed.length > 0,
    blind: [
      ...(samples.ended === null ? [] : [`the sessions could not be watched to the end: ${samples.ended}`]),
      ...results.blind,
    ],
  };
}

interface Surroundings {
  readonly tables: readonly UserTable[];
  readonly files: ReadonlyMap<string, TableFiles>;
  readonly schema: Schema;
}

async function lookAround({ server, schema: first }: MariadbMigration): Promise<Surroundings> {
  return withSession(server, async (session) => {
    const schemas = await listSchemas(session, first);
    const tables = await listTables(session, schemas);
    return { tables, files: await readFiles(session), schema: await readSchema(session, schemas) };
  });
}

function noteTouched(probes: Probes, tables: readonly UserTable[], schema: string, sql: string): void {
  const names = namesIn(sql, 'mariadb');
  for (const { database, name, oid } of tables) {
    if (names.has(name) && (database === schema || names.has(database))) probes.noteTouched(database, oid);
  }
}
