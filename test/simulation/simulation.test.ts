import { describe, expect, inject, test } from 'vitest';
import { openSimDatabase } from './database.ts';
import { huntMutation } from './hunt-mutation.ts';
import { mutations } from './mutations.ts';
import { describeCoverage, describeFailure, uncrashed } from './report.ts';
import { range, runSeeds } from './run-seeds.ts';
import { simulate } from './simulate.ts';

const HISTORIES = 500;
const PHASES = ['held', 'queued', 'building', 'deploying', 'ready', 'failed', 'removing', 'removed'];
/** Awaits that fewer histories come by may be missed, but not many of them: the night run aims at them more often. */
const COMMON = 150;
const CRASHED_SHARE_MIN = 0.8;
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
  `${HISTORIES} histories of people, faults and crashes break nothing`,
  async () => {
    const run = await runSeeds({
      ...{ adminUrl: inject('boughPostgresUrl'), seeds: range(1, HISTORIES), lanes: 3 },
    });
    expect(run.failures.map(describeFailure).join('\n\n')).toBe('');
    expect(run.histories).toBe(HISTORIES);
    process.stdout.write(`${describeCoverage(run.histories, run.counts)}\n`);
    expect(uncrashed(run.counts, COMMON)).toEqual([]);
    const missed = uncrashed(run.counts, 1).length;
    expect(1 - missed / run.counts.awaits.size).toBeGreaterThan(CRASHED_SHARE_MIN);
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
