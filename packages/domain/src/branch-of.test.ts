import { expect, test } from 'vitest';
import { branchNameProblem, readBranchOrder } from './branch-of.ts';

test('a name that is no part of a host name, or is taken by another word, is refused in words', () => {
  for (const name of ['checkout', 'bug-1234', 'b', 'x7']) expect(branchNameProblem(name)).toBeUndefined();
  for (const name of ['', 'Bug', 'a--b', '-a', 'a-', '7up', 'a_b', 'a/b', 'ä', 'a b'])
    expect(branchNameProblem(name)).toContain('lower case');
  expect(branchNameProblem('pr-7')).toContain('pull requests');
  expect(branchNameProblem('production')).toContain('something else');
  expect(branchNameProblem('a'.repeat(31))).toContain('30 characters');
});

test('an order is read back whole, and nothing else is one', () => {
  const order = {
    branchOf: { from: 'production', data: 'golden', snapshotId: null },
    commit: 'a'.repeat(40),
    expiresAt: '2026-11-26T08:00:00.000Z',
  };
  expect(readBranchOrder(JSON.stringify(order))).toEqual(order);
  for (const argument of [null, '', '7d', '{', '{}', JSON.stringify({ ...order, commit: 'main' })])
    expect(readBranchOrder(argument)).toBeUndefined();
});
