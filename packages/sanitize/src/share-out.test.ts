import { expect, it } from 'vitest';
import { shareOut } from './share-out.ts';

it('gives every task to one session, and results in their order', async () => {
  const by: string[] = [];
  const results = await shareOut(['a', 'b'], [1, 2, 3, 4], async (session, task) => {
    by.push(session);
    return task * 10;
  });
  expect(results).toEqual([10, 20, 30, 40]);
  expect(by.sort()).toEqual(['a', 'a', 'b', 'b']);
});

it('begins nothing after a failure, waits for what is under way, and says what failed', async () => {
  const ended: number[] = [];
  let finish = () => {};
  const slow = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const sharing = shareOut(['a', 'b'], [1, 2, 3], async (_, task) => {
    if (task === 1) await slow;
    if (task === 2) throw new Error('the second failed');
    ended.push(task);
  });
  const outcome = expect(sharing).rejects.toThrow('the second failed');
  expect(ended).toEqual([]);
  finish();
  await outcome;
  expect(ended).toEqual([1]);
});
