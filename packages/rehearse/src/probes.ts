import { setTimeout as delay } from 'node:timers/promises';
import { type Asker, type Probe, type ProbeKind, type ProbeResult, startProbe } from './probe.ts';
import type { UserTable } from './tables.ts';

/** Each has two connections, and the application wants some too. */
const tablesMax = 10;
/** Asked from the start, before it is known what the hook touches. */
const hottestMax = 6;
/** Answers of each probe before the hook begins, so that the machine's own noise is known. */
const warmUpAnswers = 3;
const warmUpMs = 5_000;
const warmUpLookMs = 10;
const kinds: readonly ProbeKind[] = ['read', 'write'];

/** The readers and writers of all tables that matter. */
export interface Probes {
  readonly pids: () => readonly number[];
  noteWaiting(pid: number): void;
  /** The hook touches it: it is asked from now on, too. */
  noteTouched(database: string, oid: number): void;
  warmUp(): Promise<void>;
  stop(): Promise<{ probes: ProbeResult[]; blind: string[] }>;
}

export function openProbes(
  connect: (table: UserTable, kind: ProbeKind) => Promise<Asker>,
  options: { tables: readonly UserTable[]; hottest: readonly string[] },
): Probes {
  const started = new Map<UserTable, Promise<Probe[]>>();
  const probes: Probe[] = [];
  const blind: string[] = [];
  let isOver = false;
  /** Two cores are to be left for the migration, however many tables there are. */
  const everyMs = () => Math.max(5, probes.length * 2);

  const start = (table: UserTable) => {
    if (isOver || started.has(table)) return;
    if (started.size >= tablesMax) {
      const words = `more than ${tablesMax} tables are touched, and not all of them could be asked`;
      if (!blind.includes(words)) blind.push(words);
      return;
    }
    started.set(
      table,
      Promise.all(
        kinds.map(async (kind) => {
          const probe = startProbe(await connect(table, kind), { table, kind, everyMs });
          probes.push(probe);
          return probe;
        }),
      ).catch((error: unknown) => {
        blind.push(
          `${table.display} could not be asked: ${error instanceof Error ? error.message : String(error)}`,
        );
        return [];
      }),
    );
  };
  for (const table of hottest(options)) start(table);

  return {
    pids: () => probes.map(({ pid }) => pid),
    noteWaiting: (waiting) => probes.find(({ pid }) => pid === waiting)?.noteWaiting(),
    noteTouched(database, oid) {
      const table = options.tables.find((one) => one.database === database && one.oid === oid);
      if (table !== undefined) start(table);
    },
    async warmUp() {
      await Promise.all(started.values());
      const deadline = Date.now() + warmUpMs;
      while (probes.some((probe) => probe.answers() < warmUpAnswers) && Date.now() < deadline)
        await delay(warmUpLookMs);
    },
    async stop() {
      isOver = true;
      await Promise.all(started.values());
      return { probes: await Promise.all(probes.map((probe) => probe.stop())), blind };
    },
  };
}

/** What production asks most, then what is largest: a small shop has all its tables here. */
function hottest(options: { tables: readonly UserTable[]; hottest: readonly string[] }): UserTable[] {
  const named = options.hottest.flatMap(
    (name) => options.tables.find((table) => `${table.schema}.${table.name}` === name) ?? [],
  );
  return [...new Set([...named, ...options.tables])].slice(0, hottestMax);
}
