import type { Mutation } from './mutation.ts';
import { range, runSeeds } from './run-seeds.ts';
import type { SimulationResult } from './simulate.ts';
import { Violation } from './violation.ts';

const LANES = 1;

function* hintFirst({ seed }: Mutation, seedsMax: number): Generator<number> {
  if (seed !== undefined) yield seed;
  yield* range(1, seedsMax);
}

/** The first history in which the missing guard shows as one of the invariants that it should break. */
export async function huntMutation(
  adminUrl: string,
  mutation: Mutation,
  seedsMax: number,
  signal?: AbortSignal,
): Promise<{ seed: number; text: string } | undefined> {
  const shows = ({ failure }: SimulationResult) =>
    failure instanceof Violation && mutation.breaks.includes(failure.invariant);
  let found: { seed: number; text: string } | undefined;
  await runSeeds({
    ...{ adminUrl, mutation, lanes: LANES, seeds: hintFirst(mutation, seedsMax), failuresMax: seedsMax },
    isEnough: shows,
    ...(signal === undefined ? {} : { signal }),
    onResult(result) {
      if (shows(result) && result.failure instanceof Violation)
        found ??= { seed: result.seed, text: result.failure.message };
    },
  });
  return found;
}
