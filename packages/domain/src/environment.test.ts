import { describe, expect, test } from 'vitest';
import { type Phase, phase } from './environment.ts';

type Row = Parameters<typeof phase>[0];

const settled: Row = {
  desiredState: 'running',
  heldReason: null,
  generation: '3',
  observedGeneration: '3',
  runningStep: null,
  failure: null,
  removedAt: null,
};
const failure = { code: 'hook-failed', message: 'The hook failed.', hint: null, tail: [] };

describe('phase', () => {
  test.each<[string, Partial<Row>, Phase]>([
    ['settled', {}, 'ready'],
    ['settled and put to sleep', { desiredState: 'asleep' }, 'asleep'],
    ['a newer wish', { generation: '4' }, 'queued'],
    ['about to sleep', { desiredState: 'asleep', generation: '4', runningStep: 'build' }, 'asleep'],
    ['asleep, and its last deployment failed', { desiredState: 'asleep', failure }, 'failed'],
    ['checkout', { generation: '4', runningStep: 'checkout' }, 'building'],
    ['compile', { generation: '4', runningStep: 'compile' }, 'building'],
    ['build', { generation: '4', runningStep: 'build' }, 'building'],
    ['data', { generation: '4', runningStep: 'data' }, 'deploying'],
    ['a step nobody knows', { generation: '4', runningStep: 'new-step' }, 'deploying'],
    ['failed for good', { failure }, 'failed'],
    ['failed, to be tried again', { failure, generation: '4' }, 'failed'],
    ['trying again after a failure', { failure, generation: '4', runningStep: 'build' }, 'building'],
    ['held', { heldReason: 'a fork', generation: '4' }, 'held'],
    ['held while a step still runs', { heldReason: 'a fork', runningStep: 'build' }, 'held'],
    ['to be removed', { desiredState: 'absent', generation: '4' }, 'removing'],
    ['removed', { desiredState: 'absent', removedAt: new Date(0) }, 'removed'],
  ])('%s', (_, facts, expected) => {
    expect(phase({ ...settled, ...facts })).toBe(expected);
  });

  test('every combination of facts has one phase, and the stronger fact wins', () => {
    let combinations = 0;
    for (const desiredState of ['running', 'asleep', 'absent'] as const)
      for (const heldReason of [null, 'a fork'])
        for (const generation of ['3', '4'])
          for (const runningStep of [null, 'build', 'release'])
            for (const failed of [null, failure])
              for (const removedAt of [null, new Date(0)]) {
                const row = {
                  ...settled,
                  desiredState,
                  heldReason,
                  generation,
                  runningStep,
                  failure: failed,
                  removedAt,
                };
                expect(phase(row), JSON.stringify(row)).toBe(ranked(row));
                combinations += 1;
              }
    expect(combinations).toBe(144);
  });
});

/** The same as a ranking: the first that holds. Written apart from the code on purpose. */
function ranked(row: Row): Phase {
  const ranking: [boolean, Phase][] = [
    [row.removedAt !== null, 'removed'],
    [row.desiredState === 'absent', 'removing'],
    [row.heldReason !== null, 'held'],
    [row.desiredState === 'asleep' && row.failure === null, 'asleep'],
    [row.runningStep === 'build', 'building'],
    [row.runningStep === 'release', 'deploying'],
    [row.failure !== null, 'failed'],
    [row.generation !== row.observedGeneration, 'queued'],
  ];
  return ranking.find(([holds]) => holds)?.[1] ?? 'ready';
}
