import { expect, test } from 'vitest';
import { createShares } from './shares.ts';

test('whoever has its share gets no more of it, and the others get theirs', () => {
  const shares = createShares(2);
  const leave = shares.enter('shop');
  expect(shares.enter('shop')).toBeDefined();
  expect(shares.enter('shop')).toBeUndefined();
  expect(shares.enter('blog')).toBeDefined();
  leave?.();
  expect(shares.enter('shop')).toBeDefined();
  expect(shares.enter('shop')).toBeUndefined();
});
