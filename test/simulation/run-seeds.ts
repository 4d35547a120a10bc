import { addCounts, type CoverageCounts, emptyCounts } from './coverage.ts';
import { openSimDatabase } from './database.ts';
import type { Mutation } from './mutation.ts';
import { type SimulationResult, simulate } from './simulate.ts';

export interface Run {
  readonly histories: number;
  readonly failures: readonly SimulationResult[];
  readonly counts: CoverageCounts;
  readonly steps: number;
}

/** Failures are looked at one by one: a few are enough. */
const FAILURES_MAX = 5;

/**
 * Many histories, several side by side, each lane on a database of its own: while Postgres answers one, another goes on.
 * `isEnough` ends the run early.
 */
export async function runSeeds(options: {
  adminUrl: string;
  seeds: Iterable<number>;
  lanes: number;
  mutation?: Mutation;
  onResult?: (result: SimulationResult) => void;
  isEnough?: (result: SimulationResult) => boolean;
  failuresMax?: number;
}): Promise<Run> {
  const counts = emptyCounts();
  const failures: SimulationResult[] = [];
  let histories = 0;
  let steps = 0;
  let isOver = false;
  const seeds = options.seeds[Symbol.iterator]();
  const tries = new Map<string, number>();

  /** The await at which fewest processes died so far, of those that are known. */
  function nextAim(): string | undefined {
    let aim: string | undefined;
    let least = Number.POSITIVE_INFINITY;
    for (const name of counts.awaits.keys()) {
      const weight = 3 * (counts.crashes.get(name) ?? 0) + (tries.get(name) ?? 0);
      if (weight >= least) continue;
      [aim, least] = [name, weight];
    }
    if (aim !== undefined) tries.set(aim, (tries.get(aim) ?? 0) + 1);
    return aim;
  }

  async function lane(): Promise<void> {
    const database = await openSimDatabase(options.adminUrl);
    try {
      for (let next = seeds.next(); !isOver && next.done !== true; next = seeds.next()) {
        const { mutation } = options;
        const aim = mutation === undefined ? nextAim() : mutation.aim;
        const result = await simulate({ seed: next.value, aim, database, mutation });
        histories += 1;
        steps += result.steps;
        addCounts(counts, result.counts);
        options.onResult?.(result);
        if (result.failure !== undefined) failures.push(result);
        isOver ||=
          failures.length >= (options.failuresMax ?? FAILURES_MAX) || options.isEnough?.(result) === true;
      }
    } finally {
      await database.close();
    }
  }

  await Promise.all(Array.from({ length: options.lanes }, lane));
  return { histories, failures, counts, steps };
}

export function* range(from: number, count: number): Generator<number> {
  for (let seed = from; seed < from + count; seed += 1) yield seed;
}
