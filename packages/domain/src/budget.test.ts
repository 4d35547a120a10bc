import { expect, test } from 'vitest';
import { choosePrunable, type Kept } from './budget.ts';

const kept = (key: string, sizeBytes: number, usedAt: number, isPinned = false): Kept => ({
  ...{ key, sizeBytes, isPinned },
  lastUsedAt: new Date(usedAt),
});
const keys = (items: readonly Kept[]) => items.map(({ key }) => key);

test('within its budget nothing goes', () => {
  const logs = { kind: 'logs' as const, budgetBytes: 30, kept: [kept('a', 10, 1), kept('b', 20, 2)] };
  expect(choosePrunable([logs], 0)).toEqual([]);
});

test('beyond it goes what was used longest ago, and no more than needed', () => {
  const logs = {
    kind: 'logs' as const,
    budgetBytes: 25,
    kept: [kept('newest', 10, 3), kept('oldest', 10, 1), kept('middle', 10, 2)],
  };
  expect(choosePrunable([logs], 0)).toMatchObject([{ kind: 'logs', key: 'oldest' }]);
});

test('what is in use stays, and counts', () => {
  const caches = {
    kind: 'caches' as const,
    budgetBytes: 10,
    kept: [kept('in use', 100, 1, true), kept('b', 5, 2), kept('c', 5, 3)],
  };
  expect(keys(choosePrunable([caches], 0))).toEqual(['b', 'c']);
});

test('a disk that is too full takes from all kinds, oldest first, until it has what it lacks', () => {
  const kinds = [
    { kind: 'logs' as const, budgetBytes: 100, kept: [kept('log', 10, 2), kept('new log', 10, 9)] },
    { kind: 'caches' as const, budgetBytes: 100, kept: [kept('cache', 10, 1), kept('pinned', 10, 0, true)] },
  ];
  expect(keys(choosePrunable(kinds, 15))).toEqual(['cache', 'log']);
  expect(keys(choosePrunable(kinds, 1_000))).toEqual(['cache', 'log', 'new log']);
});

test('what goes for a budget counts for the disk too', () => {
  const kinds = [
    { kind: 'logs' as const, budgetBytes: 0, kept: [kept('log', 50, 2)] },
    { kind: 'caches' as const, budgetBytes: 100, kept: [kept('cache', 10, 1)] },
  ];
  expect(keys(choosePrunable(kinds, 40))).toEqual(['log']);
});
