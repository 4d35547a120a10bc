import type { RehearsedStatement, RehearsedTable } from '@bough/domain/rehearsal';
import { longestStall } from '../attribute.ts';
import type { ProbeKind, ProbeResult, Stall } from '../probe.ts';
import { namesIn, presentable } from '../statement-text.ts';
import type { UserTable } from '../tables.ts';
import type { Samples, Wait } from './sampler.ts';
import type { LoggedStatement } from './statement-log.ts';
import type { TableFiles } from './tables.ts';

/** What the observers have when the hook has ended. */
export interface Observations {
  readonly statements: readonly LoggedStatement[];
  readonly samples: Pick<Samples, 'copies' | 'waits' | 'writtenAt'>;
  readonly probes: readonly ProbeResult[];
  readonly tables: readonly UserTable[];
  readonly before: ReadonlyMap<string, TableFiles>;
  readonly after: ReadonlyMap<string, TableFiles>;
}

const statementsMax = 60;
const tablesMax = 40;
/** A statement that changes nothing and is shorter is no news. */
const plainFromMs = 50;
const toleranceMs = 10;

interface Unit extends LoggedStatement {
  /** Tables that it names. */
  readonly names: readonly UserTable[];
  readonly rewrites: readonly UserTable[];
}

interface Blame {
  readonly ms: number;
  readonly table: UserTable;
  /** Of the table's definition; otherwise only of rows. */
  readonly isMetadata: boolean;
}

/**
 * Which statement is to blame for which stall. MariaDB does not say who holds a lock on a table, so that the lock is what
 * the probes met: none could read (`Exclusive`), none could write (`SharedNoWrite`), or a row was held (`Rows`). Pure.
 */
export function attribute(seen: Observations): {
  statements: RehearsedStatement[];
  statementsLeftOut: number;
  tables: RehearsedTable[];
} {
  const named = seen.statements.map((statement) => ({
    ...statement,
    names: namedBy(statement, seen.tables),
  }));
  const units = named.map((unit) => ({
    ...unit,
    rewrites: unit.names.filter((table) => wrote(unit, table)),
  }));
  function wrote(unit: Omit<Unit, 'rewrites'>, table: UserTable): boolean {
    if (!unit.changesSchema) return false;
    const copied = (one: LoggedStatement) =>
      seen.samples.copies.some(
        ({ session, at }) => session === one.session && at >= one.from && at <= one.to,
      );
    if (copied(unit)) return true;
    if (!hasNewFiles(seen, table)) return false;
    const rivals = named.filter((one) => one.changesSchema && one.names.includes(table));
    if (rivals.some(copied)) return false;
    return rivals.every((rival) => rival.to - rival.from <= unit.to - unit.from);
  }
  const blamed = blame(seen, units);
  const interesting = units.filter(
    (unit) => unit.changesSchema || blamed.has(unit) || unit.to - unit.from >= plainFromMs,
  );
  const kept = new Set(
    [...interesting]
      .sort((a, b) => Number(b.changesSchema) - Number(a.changesSchema) || b.to - b.from - (a.to - a.from))
      .slice(0, statementsMax),
  );
  return {
    statements: interesting
      .filter((unit) => kept.has(unit))
      .map((unit) => statementOf(unit, seen, blamed.get(unit) ?? {})),
    statementsLeftOut: interesting.length - kept.size,
    tables: tablesOf(seen, units),
  };
}

function namedBy(statement: LoggedStatement, tables: readonly UserTable[]): UserTable[] {
  const names = namesIn(statement.sql, 'mariadb');
  return tables.filter(
    ({ database, name }) => names.has(name) && (database === statement.schema || names.has(database)),
  );
}

function hasNewFiles({ before, after }: Observations, { database, name }: UserTable): boolean {
  const [was, is] = [before, after].map((files) => files.get(`${database}/${name}`)?.spaces);
  return was !== undefined && is !== undefined && was !== is;
}

type Blames = Partial<Record<ProbeKind, Blame>>;

function blame(seen: Observations, units: readonly Unit[]): Map<Unit, Blames> {
  const blamed = new Map<Unit, Blames>();
  for (const { table, kind, pid, stalls } of seen.probes) {
    for (const stall of stalls.filter(({ waited }) => waited)) {
      const unit = culprit(stall, table, units);
      if (unit === undefined) continue;
      const blames = blamed.get(unit) ?? {};
      const ms = stall.to - stall.from;
      if (ms > (blames[kind]?.ms ?? 0))
        blames[kind] = { ms, table, isMetadata: hasMetadataWait(seen.samples.waits, pid, stall) };
      blamed.set(unit, blames);
    }
  }
  return blamed;
}

function hasMetadataWait(waits: readonly Wait[], session: number, stall: Stall): boolean {
  return waits.some((wait) => wait.session === session && wait.isMetadata && overlaps(wait, stall));
}

function overlaps(a: { from: number; to: number }, b: { from: number; to: number }): boolean {
  return Math.min(a.to, b.to) - Math.max(a.from, b.from) >= 0;
}

/** Who worked longest on that table meanwhile. */
function culprit(stall: Stall, table: UserTable, units: readonly Unit[]): Unit | undefined {
  const [guilty] = units
    .map((unit) => ({ unit, shared: Math.min(unit.to, stall.to) - Math.max(unit.from, stall.from) }))
    .filter(({ shared }) => shared > -toleranceMs)
    .sort(
      (a, b) =>
        Number(b.unit.names.includes(table)) - Number(a.unit.names.includes(table)) || b.shared - a.shared,
    );
  return guilty?.unit;
}

function statementOf(unit: Unit, seen: Observations, blames: Blames): RehearsedStatement {
  const wasAsked = (kind: ProbeKind) =>
    seen.probes.some((probe) => probe.kind === kind && unit.names.includes(probe.table) && probe.answers > 0);
  const stallOf = (kind: ProbeKind) => {
    const told = blames[kind];
    if (told !== undefined) return Math.round(told.ms);
    return wasAsked(kind) ? 0 : null;
  };
  const [table] = unit.names;
  return {
    text: presentable(unit.sql, 'mariadb'),
    durationMs: Math.round(unit.to - unit.from),
    readStallMs: stallOf('read'),
    writeStallMs: stallOf('write'),
    rewrites: unit.rewrites.map(({ display }) => display),
    lock: lockOf(blames),
    rows: unit.changesSchema ? (table === undefined ? null : Math.round(table.rows)) : unit.changedRows,
    walBytes: Math.max(0, Math.round(seen.samples.writtenAt(unit.to) - seen.samples.writtenAt(unit.from))),
  };
}

function lockOf({ read, write }: Blames): RehearsedStatement['lock'] {
  const longest = (read?.ms ?? 0) > (write?.ms ?? 0) ? read : write;
  if (longest === undefined) return null;
  // The last step of most changes shuts readers out for a moment, too.
  const isForAll = (read?.ms ?? 0) >= longest.ms / 2;
  const mode = longest.isMetadata ? (isForAll ? 'Exclusive' : 'SharedNoWrite') : 'Rows';
  return { mode, table: longest.table.display, heldMs: Math.round(longest.ms) };
}

function tablesOf(seen: Observations, units: readonly Unit[]): RehearsedTable[] {
  const touched = new Set(units.flatMap(({ names }) => names));
  const asked = new Set(seen.probes.map(({ table }) => table));
  return seen.tables
    .filter((table) => touched.has(table) || asked.has(table))
    .slice(0, tablesMax)
    .map((table) => {
      const probes = seen.probes.filter((probe) => probe.table === table);
      const pids = new Set(probes.map(({ pid }) => pid));
      const waits = seen.samples.waits
        .filter(({ session }) => pids.has(session))
        .map(({ from, to }) => to - from);
      const file = `${table.database}/${table.name}`;
      return {
        table: table.display,
        rows: Math.round(table.rows),
        bytesBefore: seen.before.get(file)?.bytes ?? table.bytes,
        bytesAfter: seen.after.get(file)?.bytes ?? null,
        readStallMs: longestStall(probes, 'read'),
        writeStallMs: longestStall(probes, 'write'),
        serverWaitMs: waits.length === 0 ? null : Math.round(Math.max(...waits)),
        probes: probes.reduce((sum, { answers }) => sum + answers, 0),
        touched: touched.has(table),
      };
    });
}
