import type { Candidate } from '@bough/store/admission';
import { describe, expect, test } from 'vitest';
import { type Asking, type CapacityLimits, decideAdmission } from './decide-admission.ts';

const NOW = new Date(10_000_000);
const ago = (seconds: number) => new Date(NOW.getTime() - seconds * 1_000);
const GIB = 1024 ** 3;

function candidate(id: string, over: Partial<Candidate> = {}): Candidate {
  return {
    id,
    projectId: '1',
    slug: `pr-${id}--shop`,
    kind: 'preview',
    generation: '1',
    priority: 0,
    isWanted: true,
    isSettled: true,
    admittedAt: ago(600),
    waitingSince: null,
    waitingFor: null,
    lastRequestAt: ago(300),
    changedAt: ago(600),
    ...over,
  };
}
const waits = (id: string, over: Partial<Candidate> = {}) =>
  candidate(id, {
    ...{ admittedAt: null, waitingSince: ago(60), waitingFor: 'machine', isSettled: false },
    ...over,
  });

const limits: CapacityLimits = {
  maxAwake: 2,
  memoryReserveBytes: GIB,
  diskReserveBytes: GIB,
  memoryPerPreviewBytes: GIB / 8,
  minAwakeMs: 60_000,
};
const decide = (me: Candidate, others: readonly Candidate[], over: Partial<Asking> = {}) =>
  decideAdmission({
    me,
    candidates: me.waitingSince === null ? others : [...others, me],
    limits,
    projectAwake: null,
    measured: { memoryAvailableBytes: 8 * GIB, diskAvailableBytes: 8 * GIB },
    needsDisk: true,
    now: NOW,
    ...over,
  });
const me = waits('9');

test('where there is room it is taken', () => {
  expect(decide(me, [candidate('1')])).toEqual({ kind: 'admit' });
  expect(decide(me, [candidate('1'), candidate('2')], { limits: { ...limits, maxAwake: null } })).toEqual({
    kind: 'admit',
  });
});

test('what has its place keeps it, whatever the machine has left', () => {
  const full = { memoryAvailableBytes: 0, diskAvailableBytes: 8 * GIB };
  expect(decide(candidate('9'), [candidate('1'), candidate('2')], { measured: full }).kind).toBe('admit');
});

test('production comes first, and takes no preview’s place', () => {
  const production = candidate('9', { kind: 'production', admittedAt: null });
  const full = { memoryAvailableBytes: 0, diskAvailableBytes: 0 };
  expect(decide(production, [candidate('1'), candidate('2')], { measured: full })).toEqual({ kind: 'admit' });
  expect(decide(me, [candidate('1'), candidate('2', { kind: 'production' })]).kind).toBe('admit');
});

describe('the one that makes room', () => {
  test.each<[string, Candidate[], string | undefined]>([
    ['nobody visited for longest', [candidate('1', { lastRequestAt: ago(200) }), candidate('2')], '2'],
    [
      'never visited counts from its last change',
      [candidate('1', { lastRequestAt: null }), candidate('2')],
      '1',
    ],
    [
      'has the lower priority',
      [candidate('1', { priority: -1, lastRequestAt: ago(100) }), candidate('2')],
      '1',
    ],
    [
      'is not one of a higher priority',
      [candidate('1', { priority: 1 }), candidate('2', { priority: 1 })],
      undefined,
    ],
    [
      'is not one that was visited just now',
      [candidate('1', { lastRequestAt: ago(10) }), candidate('2', { lastRequestAt: ago(59) })],
      undefined,
    ],
    [
      'is not one that is being deployed',
      [candidate('1', { isSettled: false }), candidate('2', { isSettled: false })],
      undefined,
    ],
  ])('%s', (_, others, victim) => {
    const decided = decide(me, others);
    expect(decided.kind === 'make-room' ? decided.victim.id : undefined).toBe(victim);
    if (victim === undefined) expect(decided).toMatchObject({ kind: 'wait', position: 1 });
  });

  test('one that is on its way to sleep is enough for the first', () => {
    const others = [candidate('1', { isWanted: false }), candidate('2')];
    expect(decide(me, others).kind).toBe('wait');
    expect(decide(waits('10', { waitingSince: ago(10) }), [...others, me]).kind).toBe('make-room');
  });
});

describe('those who wait', () => {
  const full = [candidate('1', { isSettled: false }), candidate('2', { isSettled: false })];
  const position = (others: Candidate[], mine = me) => {
    const decided = decide(mine, [...full, ...others]);
    return decided.kind === 'admit' ? 0 : decided.position;
  };
  test('come in the order in which they came', () => {
    expect(position([waits('3', { waitingSince: ago(90) }), waits('4', { waitingSince: ago(30) })])).toBe(2);
    expect(decide(me, [...full, waits('3', { waitingSince: ago(90) })])).toMatchObject({
      position: 2,
      reason: 'this machine runs 2 previews and may run 2 at once',
    });
  });
  test('who is new comes last', () => {
    expect(position([waits('3'), waits('4')], waits('9', { waitingSince: null }))).toBe(3);
  });
  test('higher priorities come first', () => {
    expect(position([waits('3', { waitingSince: ago(10), priority: 1 })])).toBe(2);
  });
  test('and so does a project that runs less', () => {
    expect(position([waits('3', { waitingSince: ago(10), projectId: '2' })])).toBe(2);
  });
  test('nobody overtakes them when room appears', () => {
    const others = [candidate('1'), waits('3', { waitingSince: ago(90) })];
    expect(decide(me, others).kind).not.toBe('admit');
    expect(decide(waits('3', { waitingSince: ago(90) }), [candidate('1'), me]).kind).toBe('admit');
  });
});

describe('memory, disk and the project’s own limit', () => {
  const free = { limits: { ...limits, maxAwake: null } };
  test('memory below the reserve puts somebody to sleep', () => {
    const measured = { memoryAvailableBytes: 1.1 * GIB, diskAvailableBytes: 8 * GIB };
    expect(decide(me, [candidate('1')], { ...free, measured })).toMatchObject({
      kind: 'make-room',
      victim: { id: '1' },
    });
    expect(decide(me, [], { ...free, measured })).toMatchObject({
      kind: 'wait',
      reason: 'the machine has 1.1 GiB of memory left, and 1.1 GiB are needed',
    });
  });
  test('what was admitted just now is counted although it is not measured yet', () => {
    const measured = { memoryAvailableBytes: 1.2 * GIB, diskAvailableBytes: 8 * GIB };
    expect(decide(me, [candidate('1')], { ...free, measured }).kind).toBe('admit');
    expect(
      decide(me, [candidate('1', { admittedAt: ago(1), changedAt: ago(1) })], { ...free, measured }).kind,
    ).toBe('wait');
  });
  test('nor does anybody overtake those who wait for memory', () => {
    const measured = { memoryAvailableBytes: 1.2 * GIB, diskAvailableBytes: 8 * GIB };
    const first = waits('3', { waitingSince: ago(90) });
    expect(decide(me, [first], { ...free, measured })).toMatchObject({ kind: 'wait', position: 2 });
    expect(decide(first, [me], { ...free, measured }).kind).toBe('admit');
  });
  test('a full disk stops deployments, not waking, and wakes nobody up for it', () => {
    const measured = { memoryAvailableBytes: 8 * GIB, diskAvailableBytes: GIB / 2 };
    const decided = decide(candidate('9'), [], { ...free, measured });
    expect(decided).toMatchObject({ kind: 'wait', reason: expect.stringContaining('512 MiB left') });
    expect(decide(me, [], { ...free, measured, needsDisk: false }).kind).toBe('admit');
  });
  test('who waits for the disk keeps nobody from a place who needs none, and stands before all again when it has room', () => {
    const full = { memoryAvailableBytes: 8 * GIB, diskAvailableBytes: GIB / 2 };
    const stuck = ['3', '4'].map((id) => waits(id, { waitingSince: ago(90), waitingFor: 'disk' }));
    const others = [candidate('1', { isSettled: false }), ...stuck];
    const visited = { needsDisk: false, projectAwake: 2 };
    expect(decide(me, others, { measured: full, ...visited }).kind).toBe('admit');
    expect(decide(me, others, visited)).toMatchObject({ kind: 'wait', position: 3 });
  });
  test('those who wait for the disk know their places, also those who run', () => {
    const measured = { memoryAvailableBytes: 8 * GIB, diskAvailableBytes: GIB / 2 };
    const pushed = candidate('2', { waitingSince: ago(90), waitingFor: 'disk', isSettled: false });
    const visited = waits('3', { waitingSince: ago(90) });
    const mine = waits('9', { waitingFor: 'disk' });
    expect(decide(mine, [pushed, visited], { measured })).toMatchObject({ waitsFor: 'disk', position: 2 });
    expect(decide(pushed, [mine, visited], { measured })).toMatchObject({ waitsFor: 'disk', position: 1 });
  });
  test('the project’s limit is met by the project', () => {
    const others = [candidate('1', { lastRequestAt: ago(100) }), candidate('2', { projectId: '2' })];
    expect(decide(me, others, { ...free, projectAwake: 1 })).toMatchObject({
      victim: { id: '1' },
      waitsFor: 'project',
    });
  });
  test('who waits for a place in the project is counted there, and stands in nobody else’s way', () => {
    const busy = candidate('1', { isSettled: false });
    const blocked = ['3', '4'].map((id) => waits(id, { waitingSince: ago(90), waitingFor: 'project' }));
    const roomy = { limits: { ...limits, maxAwake: 3 } };
    const others = [busy, ...['5', '6'].map((id) => candidate(id, { projectId: '2', isSettled: false }))];
    expect(decide(me, [busy, ...blocked], { ...roomy, projectAwake: 1 })).toMatchObject({
      ...{ kind: 'wait', position: 3, waitsFor: 'project' },
    });
    const stranger = waits('9', { projectId: '2' });
    expect(decide(stranger, [...others.slice(0, 2), ...blocked], roomy).kind).toBe('admit');
    expect(decide(stranger, [...others, ...blocked], roomy)).toMatchObject({ kind: 'wait', position: 1 });
  });
  test('a place in the project goes to who waited longest, too', () => {
    const first = waits('3', { waitingSince: ago(90), waitingFor: 'project' });
    const mine = { ...me, waitingFor: 'project' as const };
    expect(decide(mine, [first], { ...free, projectAwake: 1 })).toMatchObject({ kind: 'wait', position: 2 });
    expect(decide(first, [mine], { ...free, projectAwake: 1 }).kind).toBe('admit');
  });
});
