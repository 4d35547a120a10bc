import type { Environment } from '@bough/domain/environment';
import { exampleEnvironment } from '@bough/testkit/example-environment';
import { describe, expect, test } from 'vitest';
import { type Decision, decide, type World } from './decide.ts';

const NOW = new Date(1_000_000);

const row = exampleEnvironment(NOW);
const whole: World = {
  release: { wanted: 2, running: 2, stale: 0 },
  routesServing: true,
  releaseIsWanted: false,
  now: NOW,
};
const lame: World = { ...whole, release: { wanted: 2, running: 1, stale: 0 } };
const made: World = { ...lame, releaseIsWanted: true };
const unrouted: World = { ...whole, routesServing: false };
const later = new Date(NOW.getTime() + 5_000);
const newer = { observedGeneration: '1' };
const absent = { desiredState: 'absent' } as const;
const asleep = { desiredState: 'asleep' } as const;
/** It has its place and runs what it ran before. */
const held = { heldReason: 'a fork', admittedAt: NOW };
const failure = { code: 'x', message: 'm', hint: null, tail: [] };

describe('decide', () => {
  test.each<[string, Partial<Environment>, World, Decision['kind']]>([
    ['settled and whole', {}, whole, 'nothing'],
    ['settled, a workload missing', {}, lame, 'restore'],
    ['settled, routes not serving', {}, unrouted, 'restore'],
    [
      'settled without a release (the first one failed)',
      { releaseDeploymentId: null, failure },
      lame,
      'nothing',
    ],
    ['newer wish', newer, whole, 'deploy'],
    ['newer wish whose release is made', newer, made, 'wake'],
    ['asleep, newer wish whose release is made', { ...newer, ...asleep }, made, 'sleep'],
    ['newer wish, never released', { ...newer, releaseDeploymentId: null }, lame, 'deploy'],
    ['newer wish after a crash in a step', { ...newer, runningStep: 'build' }, whole, 'deploy'],
    ['newer wish, retry due', { ...newer, retryAt: NOW, failure }, whole, 'deploy'],
    ['newer wish, retry later', { ...newer, retryAt: later, failure }, whole, 'wait'],
    ['failed for good', { failure }, whole, 'nothing'],
    ['failed for good while an earlier release lies down', { failure }, lame, 'restore'],
    [
      'an earlier release still runs',
      {},
      { ...whole, release: { wanted: 2, running: 2, stale: 1 } },
      'restore',
    ],
    ['asleep and observed', asleep, { ...lame, release: { wanted: 2, running: 0, stale: 0 } }, 'nothing'],
    ['to put to sleep', { ...asleep, ...newer }, whole, 'sleep'],
    ['held and observed', { heldReason: 'a fork' }, whole, 'nothing'],
    ['to hold', { ...held, ...newer }, whole, 'hold'],
    ['to hold, a retry pending', { ...held, ...newer, retryAt: later }, whole, 'hold'],
    ['to hold, never released', { ...held, ...newer, releaseDeploymentId: null }, lame, 'hold'],
    ['held, to put to sleep', { ...held, ...asleep, ...newer }, whole, 'sleep'],
    ['held, woken', { ...held, ...newer, admittedAt: null }, whole, 'wake'],
    ['to remove', { ...absent, ...newer }, whole, 'remove'],
    ['to remove, observed before', absent, whole, 'remove'],
    ['to remove, a retry pending', { ...absent, ...newer, retryAt: later }, whole, 'remove'],
    ['to remove, though held', { ...absent, heldReason: 'a fork' }, whole, 'remove'],
    ['removed', { ...absent, removedAt: NOW }, lame, 'nothing'],
  ])('%s', (_, facts, world, kind) => {
    expect(decide({ ...row, ...facts }, world).kind).toBe(kind);
  });

  test('waits exactly until the retry is due', () => {
    expect(decide({ ...row, ...newer, retryAt: later }, whole)).toEqual({ kind: 'wait', delayMs: 5_000 });
  });

  test('is pure: it changes neither row nor world', () => {
    const frozenRow = Object.freeze({ ...row, ...newer });
    const frozenWorld = Object.freeze({ ...whole, release: Object.freeze({ ...whole.release }) });
    expect(decide(frozenRow, frozenWorld)).toEqual(decide(frozenRow, frozenWorld));
  });
});
