import { addCounts, type CoverageCounts, emptyCounts } from './coverage.ts';
import { openSimDatabase, type SimDatabase } from './database.ts';
import type { Mutation } from './mutation.ts';
import { uncrashed } from './report.ts';
import { type SimulationResult, simulate } from './simulate.ts';

export interface Run {
  /** One for each seed, and those that were run once more for an await that no process had died at. */
  readonly histories: number;
  readonly again: number;
  readonly failures: readonly SimulationResult[];
  readonly counts: CoverageCounts;
  readonly steps: number;
}

/** A history to run: from its seed, and where processes are to die: see `simulate`. */
interface Wanted {
  readonly seed: number;
  readonly aim: string | undefined;
  readonly also: readonly string[];
}

/** Failures are looked at one by one: a few are enough. */
const FAILURES_MAX = 5;
/** Crashes lead to awaits that nobody came by before: those are hit in the next round. */
const ROUNDS_MAX = 8;

/**
 * Many histories, several side by side, each lane on a database of its own: while Postgres answers one, another goes on.
 * Each is aimed at the await at which fewest processes died so far; some are missed, and in the end a history that came by
 * each of these is run again exactly as it was, but for a crash there. Aims are chosen for a batch at a time, from what
 * the batches before it came to: so that no lane's speed decides, and a run of the same seeds is the same run.
 * `isEnough` and the signal end it early.
 */
export async function runSeeds(options: {
  adminUrl: string;
  seeds: Iterable<number>;
  lanes: number;
  mutation?: Mutation;
  onResult?: (result: SimulationResult) => void;
  isEnough?: (result: SimulationResult) => boolean;
  failuresMax?: number;
  signal?: AbortSignal;
}): Promise<Run> {
  const { mutation, signal, failuresMax = FAILURES_MAX } = options;
  const counts = emptyCounts();
  const failures: SimulationResult[] = [];
  /** A few for each await: in one of them a crash there may come to nothing, because somebody else aborted it. */
  const cameBy = new Map<string, Wanted[]>();
  const tries = new Map<string, number>();
  const ran = { histories: 0, again: 0, steps: 0 };
  let isEnough = false;
  const isOver = () => isEnough || signal?.aborted === true || failures.length >= failuresMax;

  /** The await at which fewest processes died so far, of those that are known. */
  function nextAim(): string | undefined {
    let aim: string | undefined;
    let least = Number.POSITIVE_INFINITY;
    for (const name of counts.awaits.keys()) {
      const weight = 3 * (counts.crashes.get(name) ?? 0) + (tries.get(name) ?? 0);
      if (weight >= least) continue;
      [aim, least] = [name, weight];
    }
    if (aim === undefined) return undefined;
    tries.set(aim, (tries.get(aim) ?? 0) + 1);
    return aim;
  }

  function missed(round: number): Wanted[] {
    return uncrashed(counts, 1).flatMap((name) => {
      const known = cameBy.get(name) ?? [];
      const wanted = known[round % known.length];
      return wanted === undefined ? [] : [{ ...wanted, also: [...wanted.also, name] }];
    });
  }

  async function runBatch(batch: readonly Wanted[], as: 'histories' | 'again'): Promise<void> {
    const results: { readonly place: number; readonly wanted: Wanted; readonly result: SimulationResult }[] =
      [];
    const all = batch.entries();
    const lane = async (database: SimDatabase): Promise<void> => {
      for (let next = isOver() ? undefined : all.next(); next?.done === false; ) {
        const [place, wanted] = next.value;
        const result = await simulate({ ...wanted, database, mutation });
        results.push({ place, wanted, result });
        options.onResult?.(result);
        if (result.failure !== undefined) failures.push(result);
        isEnough ||= options.isEnough?.(result) === true;
        next = isOver() ? undefined : all.next();
      }
    };
    await Promise.all(databases.map(lane));
    for (const { wanted, result } of results.sort((a, b) => a.place - b.place)) {
      ran[as] += 1;
      ran.steps += result.steps;
      addCounts(counts, result.counts);
      for (const name of result.counts.awaits.keys()) {
        const known = cameBy.get(name) ?? [];
        if (known.length < ROUNDS_MAX) cameBy.set(name, [...known, wanted]);
      }
    }
  }

  const databases: SimDatabase[] = [];
  try {
    for (let count = 0; count < options.lanes; count += 1)
      databases.push(await openSimDatabase(options.adminUrl));
    for (const seeds of batches(options.seeds))
      if (!isOver())
        await runBatch(
          seeds.map((seed) => ({ seed, aim: mutation === undefined ? nextAim() : mutation.aim, also: [] })),
          'histories',
        );
    for (let round = 0; round < ROUNDS_MAX && mutation === undefined && !isOver(); round += 1) {
      const rest = missed(round);
      if (rest.length === 0) break;
      await runBatch(rest, 'again');
    }
  } finally {
    for (const database of databases) await database.close();
  }
  return { ...ran, failures, counts };
}

/** Small enough for aims to follow what is known, large enough for lanes not to wait for each other. */
const BATCH = 60;

function* batches(seeds: Iterable<number>): Generator<number[]> {
  let batch: number[] = [];
  for (const seed of seeds) {
    batch.push(seed);
    if (batch.length < BATCH) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

export function* range(from: number, count: number): Generator<number> {
  for (let seed = from; seed < from + count; seed += 1) yield seed;
}
