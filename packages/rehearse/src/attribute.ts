import type { RehearsedStatement, RehearsedTable } from '@bough/domain/rehearsal';
import type { Unit } from './commands.ts';
import type { Hold, Samples } from './lock-sampler.ts';
import { type ProbeKind, type ProbeResult, type Stall, worthNotingMs } from './probe.ts';
import type { LoggedWait } from './server-log.ts';
import { presentable } from './statement-text.ts';
import type { TableCounters, UserTable } from './tables.ts';

/** What the observers have when the hook has ended. */
export interface Observations {
  readonly units: readonly Unit[];
  readonly samples: Pick<Samples, 'holds' | 'walAt'>;
  readonly waits: readonly LoggedWait[];
  readonly probes: readonly ProbeResult[];
  readonly tables: readonly UserTable[];
  /** By the server's number. */
  readonly databases: ReadonlyMap<number, string>;
  readonly before: ReadonlyMap<UserTable, TableCounters>;
  readonly after: ReadonlyMap<UserTable, TableCounters>;
}

const modes = [
  'AccessShareLock',
  'RowShareLock',
  'RowExclusiveLock',
  'ShareUpdateExclusiveLock',
  'ShareLock',
  'ShareRowExclusiveLock',
  'ExclusiveLock',
  'AccessExclusiveLock',
];
const rankOf = (mode: string) => modes.indexOf(mode);
/** From this mode on visitors' queries of that kind wait. */
const blocksFrom: Readonly<Record<ProbeKind, number>> = {
  read: rankOf('AccessExclusiveLock'),
  write: rankOf('ShareLock'),
};
const toleranceMs = 10;
const statementsMax = 60;
const tablesMax = 40;
/** A statement that changes nothing and is shorter is no news. */
const plainFromMs = 50;

interface Held extends Omit<Hold, 'database' | 'relation'> {
  readonly table: UserTable;
  readonly unit: Unit | undefined;
}

/** Which statement is to blame for which stall, with the locks as evidence. Pure. */
export function attribute(seen: Observations): {
  statements: RehearsedStatement[];
  statementsLeftOut: number;
  tables: RehearsedTable[];
} {
  const held = locate(seen);
  const blamed = blame(seen, held);
  const interesting = seen.units.filter(
    (unit) =>
      unit.changesSchema ||
      unit.rewrites.length > 0 ||
      blamed.has(unit) ||
      locksOf(unit, held, seen).length > 0 ||
      unit.to - unit.from >= plainFromMs,
  );
  const kept = new Set(
    [...interesting]
      .sort((a, b) => Number(b.changesSchema) - Number(a.changesSchema) || b.to - b.from - (a.to - a.from))
      .slice(0, statementsMax),
  );
  const statements = interesting
    .filter((unit) => kept.has(unit))
    .map((unit) => statementOf(unit, { seen, held, stalls: blamed.get(unit) ?? {} }));
  return {
    statements,
    statementsLeftOut: interesting.length - statements.length,
    tables: tablesOf(seen, held),
  };
}

/** Each sampled lock on a table of the application, and the statement that took it. */
function locate(seen: Observations): Held[] {
  const byId = new Map(seen.tables.map((table) => [`${table.database} ${table.oid}`, table]));
  return seen.samples.holds.flatMap(({ database, relation, ...hold }) => {
    const table = byId.get(`${seen.databases.get(database) ?? ''} ${relation}`);
    if (table === undefined) return [];
    const mine = seen.units.filter(({ pid }) => pid === hold.pid);
    return [{ ...hold, table, unit: taker(mine, { ...hold, relation }) }];
  });
}

/**
 * The statement that ran when a lock was taken; a little off is well, for the samples are. One that did not take the lock, as
 * the triggers around it saw, is not it while there is another: a neighbour, or, when the sampler came late, an earlier one
 * that did as they saw.
 */
function taker(
  units: readonly Unit[],
  lock: { from: number; relation: number; mode: string },
): Unit | undefined {
  const took = ({ locks }: Unit) =>
    locks?.some(([relation, mode]) => relation === lock.relation && mode === lock.mode);
  const byDistance = units
    .map((unit) => ({ unit, distance: Math.max(0, unit.from - lock.from, lock.from - unit.to) }))
    .sort((a, b) => a.distance - b.distance);
  const near = byDistance.filter(({ distance }) => distance <= toleranceMs);
  const found =
    near.find(({ unit }) => took(unit) !== false) ??
    byDistance.find(({ unit }) => took(unit) === true && unit.from < lock.from) ??
    near[0];
  return found?.unit;
}

type Stalls = Partial<Record<ProbeKind, number>>;

function blame(seen: Observations, held: readonly Held[]): Map<Unit, Stalls> {
  const blamed = new Map<Unit, Stalls>();
  for (const probe of seen.probes) {
    for (const stall of probe.stalls.filter(({ waited }) => waited)) {
      const unit = culprit(stall, probe, { seen, held });
      if (unit === undefined) continue;
      const stalls = blamed.get(unit) ?? {};
      stalls[probe.kind] = Math.max(stalls[probe.kind] ?? 0, stall.to - stall.from);
      blamed.set(unit, stalls);
    }
  }
  return blamed;
}

/** Who held what the probe waited for; when nobody is known (a row was locked), who worked longest meanwhile. */
function culprit(
  stall: Stall,
  { table, kind }: Pick<ProbeResult, 'table' | 'kind'>,
  { seen, held }: { seen: Observations; held: readonly Held[] },
): Unit | undefined {
  const [guilty] = held
    .filter(
      (hold) => hold.table === table && rankOf(hold.mode) >= blocksFrom[kind] && hold.unit !== undefined,
    )
    .map((hold) => ({ hold, shared: overlap(hold, stall) }))
    .filter(({ shared }) => shared > 0)
    .sort((a, b) => b.shared - a.shared);
  if (guilty?.hold.unit !== undefined) return guilty.hold.unit;
  const touching = new Set(held.filter((hold) => hold.table === table).map(({ unit }) => unit));
  const [busy] = seen.units
    .map((unit) => ({ unit, shared: overlap(unit, stall) + (touching.has(unit) ? 1e9 : 0) }))
    .filter(({ unit }) => overlap(unit, stall) > 0)
    .sort((a, b) => b.shared - a.shared);
  return busy?.unit;
}

function overlap(a: { from: number; to: number }, b: { from: number; to: number }): number {
  return Math.min(a.to, b.to) - Math.max(a.from, b.from);
}

interface Lock {
  readonly mode: string;
  readonly table: UserTable;
  readonly heldMs: number;
}

/** Strongest first. What the samples were too slow for is known from the trigger, without a time of its own. */
function locksOf(unit: Unit, held: readonly Held[], seen: Observations): Lock[] {
  const sampled = held.filter((hold) => hold.unit === unit);
  const fromSamples = sampled.map(({ mode, table, from, to }) => ({ mode, table, heldMs: to - from }));
  const fromTrigger = (unit.locks ?? []).flatMap(([relation, mode]) => {
    const table = seen.tables.find((one) => one.oid === relation && one.database === unit.database);
    if (table === undefined) return [];
    const isKnown = sampled.some((hold) => hold.table === table && hold.mode === mode);
    return isKnown ? [] : [{ mode, table, heldMs: unit.to - unit.from }];
  });
  return [...fromSamples, ...fromTrigger].sort(
    (a, b) => rankOf(b.mode) - rankOf(a.mode) || b.heldMs - a.heldMs,
  );
}

function statementOf(
  unit: Unit,
  { seen, held, stalls }: { seen: Observations; held: readonly Held[]; stalls: Stalls },
): RehearsedStatement {
  const locks = locksOf(unit, held, seen);
  const [strongest] = locks;
  const touched = new Set(locks.map(({ table }) => table));
  const wasAsked = (kind: ProbeKind) =>
    seen.probes.some((probe) => probe.kind === kind && touched.has(probe.table) && probe.answers > 0);
  const stallOf = (kind: ProbeKind) => rounded(stalls[kind]) ?? (wasAsked(kind) ? 0 : null);
  const named = (oid: number) =>
    seen.tables.find((table) => table.oid === oid && table.database === unit.database)?.display;
  return {
    text: presentable(unit.sql),
    durationMs: Math.round(unit.to - unit.from),
    readStallMs: stallOf('read'),
    writeStallMs: stallOf('write'),
    rewrites: [...new Set(unit.rewrites.flatMap((oid) => named(oid) ?? []))],
    lock:
      strongest === undefined
        ? null
        : {
            mode: strongest.mode.replace(/Lock$/, ''),
            table: strongest.table.display,
            heldMs: Math.round(strongest.heldMs),
          },
    rows: rowsOf(unit, strongest?.table, { seen, held }),
    walBytes: Math.max(0, Math.round(seen.samples.walAt(unit.to) - seen.samples.walAt(unit.from))),
  };
}

/** Of a change of the schema the rows of its table; of other statements what they changed, where that can be told apart. */
function rowsOf(
  unit: Unit,
  table: UserTable | undefined,
  { seen, held }: { seen: Observations; held: readonly Held[] },
): number | null {
  if (table === undefined) return null;
  if (unit.changesSchema) return Math.round(table.rows);
  const writers = new Set(
    seen.units.filter((one) =>
      locksOf(one, held, seen).some((lock) => lock.table === table && lock.mode === 'RowExclusiveLock'),
    ),
  );
  const changed = changedRows(seen, table);
  return writers.size === 1 && writers.has(unit) && changed !== null ? changed : null;
}

/** Without those that our own probes wrote and took back. */
function changedRows(seen: Observations, table: UserTable): number | null {
  const before = seen.before.get(table);
  const after = seen.after.get(table);
  if (before === undefined || after === undefined) return null;
  const ours = seen.probes
    .filter((probe) => probe.table === table && probe.kind === 'write')
    .reduce((sum, probe) => sum + probe.answers, 0);
  return Math.max(0, after.changedRows - before.changedRows - ours);
}

function tablesOf(seen: Observations, held: readonly Held[]): RehearsedTable[] {
  const touched = new Set([
    ...held.map(({ table }) => table),
    ...seen.units.flatMap((unit) =>
      (unit.locks ?? []).flatMap(
        ([oid]) => seen.tables.find((table) => table.oid === oid && table.database === unit.database) ?? [],
      ),
    ),
  ]);
  const asked = new Set(seen.probes.map(({ table }) => table));
  return seen.tables
    .filter((table) => touched.has(table) || asked.has(table))
    .slice(0, tablesMax)
    .map((table) => {
      const probes = seen.probes.filter((probe) => probe.table === table);
      return {
        table: table.display,
        rows: Math.round(table.rows),
        bytesBefore: seen.before.get(table)?.bytes ?? table.bytes,
        bytesAfter: seen.after.get(table)?.bytes ?? null,
        readStallMs: longestStall(probes, 'read'),
        writeStallMs: longestStall(probes, 'write'),
        serverWaitMs: serverWait(probes, seen.waits),
        probes: probes.reduce((sum, { answers }) => sum + answers, 0),
        touched: touched.has(table),
      };
    });
}

/** How long the server itself says that the longest stall waited. */
function serverWait(probes: readonly ProbeResult[], waits: readonly LoggedWait[]): number | null {
  const told = probes.flatMap(({ pid, stalls }) =>
    waits
      .filter((wait) => wait.pid === pid)
      .map((wait) => {
        const stall = stalls.find(
          ({ from, to }) => wait.at >= from - toleranceMs && wait.at <= to + toleranceMs,
        );
        return wait.waitedMs + (stall?.givenUpMs ?? 0);
      }),
  );
  return told.length === 0 ? null : Math.round(Math.max(...told));
}

/** The longest wait for a lock; zero when all answers came at once, null when nobody asked. */
export function longestStall(probes: readonly ProbeResult[], kind: ProbeKind): number | null {
  const asked = probes.filter((probe) => probe.kind === kind && probe.answers > 0);
  if (asked.length === 0) return null;
  const stalls = asked.flatMap(({ stalls: all }) => all.filter(({ waited }) => waited));
  return Math.round(Math.max(0, ...stalls.map(({ from, to }) => to - from)));
}

/** The longest answer that waited for no lock: what the machine alone does to a query. */
export function noise(probes: readonly ProbeResult[]): number {
  const slow = probes.flatMap(({ stalls }) => stalls.filter(({ waited }) => !waited));
  const quick = probes.map(({ longestMs }) => Math.min(longestMs, worthNotingMs));
  return Math.round(Math.max(0, ...quick, ...slow.map(({ from, to }) => to - from)));
}

function rounded(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : Math.round(ms);
}
