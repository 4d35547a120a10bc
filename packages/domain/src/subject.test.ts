import { expect, test } from 'vitest';
import { parseSubject, type Subject, subjectKey } from './subject.ts';

test.each<[string, Subject]>([
  ['production', { kind: 'production' }],
  ['pull/7', { kind: 'pull', number: 7 }],
  ['pull/2147483647', { kind: 'pull', number: 2_147_483_647 }],
  ['branch/main', { kind: 'branch', branch: 'main' }],
  ['branch/feature/pull/7', { kind: 'branch', branch: 'feature/pull/7' }],
  ['branch/production', { kind: 'branch', branch: 'production' }],
])('%s there and back', (key, subject) => {
  expect(parseSubject(key)).toEqual(subject);
  expect(subjectKey(subject)).toBe(key);
});

test.each([
  '',
  'pull',
  'pull/',
  'pull/0',
  'pull/07',
  'pull/-1',
  'pull/1.5',
  'pull/7/x',
  'pull/7\n',
  'pull/99999999999',
  'Pull/7',
  'branch/',
  `branch/${'b'.repeat(256)}`,
  'branch/a\nb',
  'productions',
  ' production',
])('%j is no subject', (key) => {
  expect(parseSubject(key)).toBeUndefined();
});
