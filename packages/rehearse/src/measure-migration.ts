import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { Measurement } from '@bough/domain/rehearsal';
import { askPostgres } from './ask-postgres.ts';
import { attribute, longestStall, noise } from './attribute.ts';
import { layOut } from './commands.ts';
import { installEventTriggers, removeEventTriggers } from './event-triggers.ts';
import { startLockSampler } from './lock-sampler.ts';
import { openProbes, type Probes } from './probes.ts';
import { compareSchemas, mergeSchemas, readSchema, type Schema } from './schema.ts';
import { createLogReader, startLogging } from './server-log.ts';
import { type ObservedServer, withSession } from './session.ts';
import { listTables, readCounters, type TableCounters, type UserTable } from './tables.ts';

export interface Migration {
  readonly server: ObservedServer;
  /** Those that the application uses; the first is the one whose tables are named without it. */
  readonly databases: readonly string[];
  /** `schema.table` of those that production asks most, the busiest first. */
  readonly hottest: readonly string[];
  /** What the server prints from now on, line by line, until the signal. */
  readonly log: (signal: AbortSignal) => AsyncIterable<string>;
  /** The migration itself. What it throws is thrown on, once the observers are gone. */
  readonly run: () => Promise<void>;
}

/** Waited for the last line of the server's log, which is written by another process. */
const drainMs = 10_000;
const drainLookMs = 25;

/**
 * Runs a migration on a server that is there for nothing else, under three observers: who holds which lock, every few
 * milliseconds; a reader and a writer for each table that matters, who feel what visitors would feel; and what the
 * server itself reports of statements, rewrites and waits. Leaves no trace in the databases.
 */
export async function measureMigration(migration: Migration): Promise<Measurement> {
  const { server, databases } = migration;
  await startLogging(server);
  const tables = await inEach(databases, (database, isFirst) => listTables(server, database, isFirst));
  const before = await lookAround(migration, tables.flat());
  const reader = createLogReader();
  const reading = new AbortController();
  const following = follow(migration.log(reading.signal), reader.line);
  try {
    for (const database of databases) await installEventTriggers(server, database);
    const probes = openProbes((table, kind) => askPostgres(server, table, kind), {
      tables: tables.flat(),
      hottest: migration.hottest,
    });
    const oids = await databaseNames(server);
    const sampler = await startLockSampler(server, {
      own: probes.pids,
      onWaiting: probes.noteWaiting,
      onHeld: (database, relation) => probes.noteTouched(oids.get(database) ?? '', relation),
    });
    await probes.warmUp();
    const startedAt = performance.now();
    let durationMs = 0;
    let samples: Awaited<ReturnType<typeof sampler.stop>>;
    let results: Awaited<ReturnType<Probes['stop']>>;
    try {
      await migration.run();
      durationMs = Math.round(performance.now() - startedAt);
    } finally {
      results = await probes.stop();
      samples = await sampler.stop();
    }
    const isDrained = await drain(server, following);
    for (const database of databases) await removeEventTriggers(server, database);
    const log = reader.read();
    const own = new Set(results.probes.map(({ pid }) => pid));
    const units = layOut(log, own);
    const after = await lookAround(migration, tables.flat());
    const schema = compareSchemas(before.schema, after.schema);
    const attributed = attribute({
      ...{ units, samples, waits: log.waits, probes: results.probes, tables: tables.flat(), databases: oids },
      ...{ before: before.counters, after: after.counters },
    });
    return {
      ...attributed,
      statementsLeftOut: attributed.statementsLeftOut + log.statementsLeftOut,
      durationMs,
      readStallMs: longestStall(results.probes, 'read'),
      writeStallMs: longestStall(results.probes, 'write'),
      noiseMs: noise(results.probes),
      blindMs: Math.round(samples.blindMs),
      walBytes: samples.walBytes,
      schema,
      invalidIndexes: [...after.schema.invalidIndexes].filter(
        (index) => !before.schema.invalidIndexes.has(index),
      ),
      pending:
        units.some((unit) => unit.changesSchema || unit.rewrites.length > 0) ||
        schema.added.length + schema.removed.length + schema.changed.length > 0,
      blind: [
        ...(samples.ended === null ? [] : [`the locks could not be watched to the end: ${samples.ended}`]),
        ...(isDrained ? [] : ["the server's own log could not be read to its end"]),
        ...results.blind,
      ],
    };
  } finally {
    reading.abort();
    await following.ended;
  }
}

interface Surroundings {
  readonly schema: Schema;
  readonly counters: ReadonlyMap<UserTable, TableCounters>;
}

async function lookAround(
  { server, databases }: Migration,
  tables: readonly UserTable[],
): Promise<Surroundings> {
  const counters = new Map<UserTable, TableCounters>();
  for (const database of databases) {
    const mine = tables.filter((table) => table.database === database);
    const read = await readCounters(
      server,
      database,
      mine.map(({ oid }) => oid),
    );
    for (const table of mine) {
      const counted = read.get(table.oid);
      if (counted !== undefined) counters.set(table, counted);
    }
  }
  const schemas = await inEach(databases, (database, isFirst) => readSchema(server, database, isFirst));
  return { schema: mergeSchemas(schemas), counters };
}

async function inEach<Result>(
  databases: readonly string[],
  work: (database: string, isFirst: boolean) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  for (const [index, database] of databases.entries()) results.push(await work(database, index === 0));
  return results;
}

async function databaseNames(server: ObservedServer): Promise<Map<number, string>> {
  return withSession(server, 'postgres', async (client) => {
    const { rows } = await client.query<{ oid: number; name: string }>(
      'select oid::int8::float8 as oid, datname as name from pg_database',
    );
    return new Map(rows.map(({ oid, name }) => [oid, name]));
  });
}

interface Following {
  readonly has: (text: string) => boolean;
  readonly ended: Promise<void>;
}

function follow(lines: AsyncIterable<string>, onLine: (line: string) => void): Following {
  let lastMark = '';
  const read = async () => {
    for await (const line of lines) {
      if (line.includes(endMark)) lastMark = line;
      onLine(line);
    }
  };
  return { has: (text) => lastMark.includes(text), ended: read().catch(() => {}) };
}

const endMark = 'bough-end ';

/** A line of our own, written last: once it has come, all before it have. */
async function drain(server: ObservedServer, following: Following): Promise<boolean> {
  const token = randomUUID();
  await withSession(server, 'postgres', (client) =>
    client.query(`do $$ begin raise log '${endMark}${token}'; end $$`),
  );
  const deadline = Date.now() + drainMs;
  while (!following.has(token)) {
    if (Date.now() > deadline) return false;
    await delay(drainLookMs);
  }
  return true;
}
