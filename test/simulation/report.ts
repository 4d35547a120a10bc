import { inspect } from 'node:util';
import type { CoverageCounts } from './coverage.ts';
import type { SimulationResult } from './simulate.ts';
import { Violation } from './violation.ts';

/** A failing history as it is printed: what happened, what it broke, how to see it again. */
export function describeFailure(result: SimulationResult): string {
  const why = result.failure instanceof Violation ? result.failure.message : inspect(result.failure);
  return [
    `seed ${result.seed}${result.aim === undefined ? '' : `, with a crash aimed at "${result.aim}"`}:`,
    ...result.history,
    `✗ ${why}`,
    `again, with Bough's own log: npm run simulate -- ${callOf(result)} --verbose`,
  ].join('\n');
}

/** How many crashes at which await, and in how many histories which phases and events came. */
export function describeCoverage(histories: number, counts: CoverageCounts): string {
  const table = (title: string, rows: readonly (readonly [string, number | string])[]) =>
    [title, ...rows.map(([name, count]) => `${String(count).padStart(8)}  ${name}`)].join('\n');
  const byName = (of: ReadonlyMap<string, number>) => [...of].sort(([a], [b]) => (a < b ? -1 : 1));
  return [
    table(
      'crashes at each await',
      [...counts.awaits.keys()].sort().map((name) => [name, counts.crashes.get(name) ?? 0] as const),
    ),
    table(`of ${histories} histories, so many reached the phase`, byName(counts.phases)),
    table(`of ${histories} histories, in so many`, byName(counts.events)),
  ].join('\n\n');
}

function callOf({ seed, aim, also }: SimulationResult): string {
  const aimed = aim === undefined ? [] : [`--aim "${aim}"`];
  return [`--seed ${seed}`, ...aimed, ...also.map((name) => `--also "${name}"`)].join(' ');
}

/** Awaits that many histories came by and at which nothing ever died. */
export function uncrashed({ awaits, crashes }: CoverageCounts, metMin: number): string[] {
  return [...awaits].flatMap(([name, met]) => (met >= metMin && !crashes.has(name) ? [name] : [])).sort();
}
