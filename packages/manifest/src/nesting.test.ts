import { expect, test } from 'vitest';
import { tooDeepAt } from './nesting.ts';

test('a script full of brackets and braces is not deep', () => {
  expect(tooDeepAt(Array(500).fill('if [ -f x ]; then { a={b}; }; fi').join('\n'))).toBeUndefined();
});

test('names the line', () => {
  expect(tooDeepAt(`a: 1\nb: ${'['.repeat(200)}`)).toBe(2);
});
