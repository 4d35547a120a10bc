import { expect, test } from 'vitest';
import { parseSourceUrl } from './parse-source-url.ts';

const parse = (query: string) => parseSourceUrl(`mysql://u:p@db.example.com/main${query}`, 'database');

test('the encryption that is asked for', () => {
  expect(parse('')).toEqual({
    ...{ host: 'db.example.com', port: 3306, user: 'u', password: 'p', database: 'main', ssl: 'off' },
  });
  expect(parse('?ssl-mode=DISABLED').ssl).toBe('off');
  expect(parse('?ssl-mode=preferred').ssl).toBe('preferred');
  expect(parse('?ssl-mode=required').ssl).toBe('on');
  expect(parse('?ssl-mode=VERIFY_CA').ssl).toBe('verified');
  expect(parse('?ssl-mode=VERIFY_IDENTITY').ssl).toBe('verified');
});

test.each([
  '?sslmode=require',
  '?ssl=true',
  '?ssl-mode=REQUIERD',
  '?ssl-mode=',
  '?ssl-mode=constructor',
  '?ssl-mode=DISABLED&ssl-mode=REQUIRED',
  '?ssl-mode=REQUIRED&charset=utf8',
])('%s is no word for encryption, and is not passed over', (query) => {
  let thrown: unknown;
  try {
    parse(query);
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toMatchObject({
    code: 'source-malformed',
    hint: expect.stringContaining('DISABLED, PREFERRED, REQUIRED, VERIFY_CA, VERIFY_IDENTITY'),
  });
});
