import { expect, test } from 'vitest';
import { BoughError } from './bough-error.ts';

test('a failure carries code, words and way out, and is not tried again unless it says so', () => {
  const plain = new BoughError({ code: 'port-taken', message: 'Port 3000 is taken.' });
  expect(plain).toBeInstanceOf(Error);
  expect(plain).toMatchObject({ code: 'port-taken', message: 'Port 3000 is taken.', hint: undefined });
  expect(plain.retryable).toBe(false);
  expect(plain.tail).toEqual([]);
  expect('cause' in plain).toBe(false);

  const cause = new Error('EADDRINUSE');
  const full = new BoughError({ code: 'x', message: 'm', hint: 'h', tail: ['a'], retryable: true, cause });
  expect(full).toMatchObject({ hint: 'h', tail: ['a'], retryable: true, cause });
});
