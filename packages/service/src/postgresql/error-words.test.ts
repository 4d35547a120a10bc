import { expect, test } from 'vitest';
import { errorWords, firstError } from './error-words.ts';

test('a value that holds quotes is in no message', () => {
  const message = 'invalid input syntax for type integer: "5" or "ada@example.com" it\'s';
  expect(errorWords({ code: '22P02', message, routine: 'pg_strtoint32' })).toBe(
    'invalid input syntax for type integer: "…"',
  );
  expect(
    errorWords({ code: '42601', message: 'syntax error at or near "ada"\nlovelace', routine: 'x' }),
  ).toBe('syntax error at or near "…"');
});

test('what the dump itself says is in no message, whatever code it chose', () => {
  for (const code of ['P0001', 'P0004', '23514'])
    expect(errorWords({ code, message: 'bad mail ada@example.com', routine: 'exec_stmt_raise' })).toBe(
      "the dump's own code raised an exception",
    );
});

test('names stay', () => {
  const message = 'relation "people" already exists';
  expect(errorWords({ code: '42P07', message, routine: 'heap_create_with_catalog' })).toBe(message);
});

test('the line of pg_restore ends where it quotes a row', () => {
  const copy =
    'pg_restore: error: COPY failed for table "people": ERROR:  invalid input syntax for type integer: "a"da@example.com"\nCONTEXT:  COPY people, line 1, column id: "a"da@example.com"\n';
  expect(firstError(copy, '')).toBe(
    'COPY failed for table "people": ERROR:  invalid input syntax for type integer: "…"',
  );
  const raised =
    'pg_restore: error: COPY failed for table "people": ERROR:  bad mail ada@example.com\nCONTEXT:  PL/pgSQL function f(text) line 1 at RAISE\nCOPY people, line 1\n';
  expect(firstError(raised, '')).not.toContain('ada@');
});

test('the line of pg_dump says what it may not read, without the password', () => {
  expect(
    firstError('pg_dump: error: query failed: ERROR:  permission denied for table secrets\n', 'x1'),
  ).toBe('query failed: ERROR:  permission denied for table secrets');
  expect(firstError('pg_dump: error: connection with hunter2 failed\n', 'hunter2')).toBe(
    'connection with [redacted] failed',
  );
});
