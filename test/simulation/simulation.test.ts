import { describe, expect, inject, test } from 'vitest';
import { openSimDatabase } from './database.ts';
import { huntMutation } from './hunt-mutation.ts';
import { mutations } from './mutations.ts';
import { describeCoverage, describeFailure, uncrashed } from './report.ts';
import { range, runSeeds } from './run-seeds.ts';
import { simulate } from './simulate.ts';

const HISTORIES = 500;
const PHASES = [
  ...['held', 'queued', 'building', 'deploying', 'ready'],
  ...['asleep', 'failed', 'removing', 'removed'],
];
const MINUTES = 60_000;

test('a seed replays', async () => {
  const database = await openSimDatabase(inject('boughPostgresUrl'));
  try {
    for (const seed of [7, 8]) {
      const first = await simulate({ seed, database });
      const second = await simulate({ seed, database });
      expect(second).toEqual(first);
      expect(first.steps).toBeGreaterThan(100);
    }
  } finally {
    await database.close();
  }
});

test(
  `${HISTORIES} histories of people, faults and crashes, and none breaks an invariant`,
  async () => {
    const run = await runSeeds({
      ...{ adminUrl: inject('boughPostgresUrl'), seeds: range(1, HISTORIES), lanes: 3 },
    });
    expect(run.failures.length, run.failures.map(describeFailure).join('\n\n')).toBe(0);
    expect(run.histories).toBe(HISTORIES);
    process.stdout.write(`${describeCoverage(run.histories + run.again, run.counts)}\n`);
    // Processes died at every await that any history came by.
    expect(uncrashed(run.counts, 1)).toEqual([]);
    for (const phase of PHASES) expect(run.counts.phases.get(phase) ?? 0, phase).toBeGreaterThan(20);
  },
  30 * MINUTES,
);

describe('what is guarded shows when the guard is gone', () => {
  test.each(mutations.map((mutation) => [mutation.name, mutation] as const))(
    '%s',
    async (_name, mutation) => {
      expect(await huntMutation(inject('boughPostgresUrl'), mutation, 300)).toBeDefined();
    },
    10 * MINUTES,
  );
});
