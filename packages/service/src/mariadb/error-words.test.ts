import { expect, test } from 'vitest';
import { errorWords } from './error-words.ts';

test('values are in no message', () => {
  expect(
    errorWords({ errno: 1366, message: "Incorrect integer value: 'ada's' for column", state: '22007' }),
  ).toBe('Incorrect integer value: …');
  expect(errorWords({ errno: 1062, message: "Duplicate entry 'ada' for key 'x'", state: '23000' })).toBe(
    'Duplicate entry …',
  );
});

test('what the dump itself says is in no message', () => {
  const message = 'bad mail ada@example.com';
  for (const of of [
    { errno: 1644, message, state: '45000' },
    { errno: 1644, message, state: '22012' },
    { errno: 5001, message, state: '45000' },
  ])
    expect(errorWords(of)).toBe("the dump's own code signalled an error");
});

test('names stay', () => {
  const message = "Table 'main.people' doesn't exist";
  expect(errorWords({ errno: 1146, message, state: '42S02' })).toBe(message);
});
