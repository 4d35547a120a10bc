import { describe, expect, test } from 'vitest';
import { notAvailable } from './not-available.ts';
import { compareVersions, newestFitting, parseWant, versionFits } from './want.ts';

test('reads a name and a version of one to three numbers', () => {
  expect(parseWant('nodejs:22')).toEqual({ text: 'nodejs:22', name: 'nodejs', version: '22' });
  expect(parseWant('mariadb:10.11').version).toBe('10.11');
  expect(parseWant('git').version).toBeUndefined();
});

test.each([
  '',
  'nodejs:',
  'nodejs:latest',
  'nodejs:^22',
  'nodejs:22; rm -rf /',
  '../nodejs:22',
  'Nodejs:22',
  'a:1.2.3.4',
])('refuses %j with a way out', (text) => {
  expect(() => parseWant(text)).toThrow(expect.objectContaining({ code: 'toolchain-malformed' }));
});

test('a version fits what it begins with, number by number', () => {
  expect(versionFits('22.23.3', '22')).toBe(true);
  expect(versionFits('22.23.3', '22.23.3')).toBe(true);
  expect(versionFits('22.23.3', '2')).toBe(false);
  expect(versionFits('22.2.0', '22.23')).toBe(false);
  expect(versionFits('17.10', '17.10.0')).toBe(false);
  expect(versionFits('8.0.1', undefined)).toBe(true);
});

test('orders versions as numbers and pre-releases by theirs', () => {
  const versions = ['17.9.0-beta.17', '17.10.0-beta.9', '17.10.0-beta.17', '9.1.0', '17.2.0'];
  expect([...versions].sort(compareVersions)).toEqual([
    '9.1.0',
    '17.2.0',
    '17.9.0-beta.17',
    '17.10.0-beta.9',
    '17.10.0-beta.17',
  ]);
  expect(newestFitting(versions, '17')).toBe('17.10.0-beta.17');
  expect(newestFitting(versions, '18')).toBeUndefined();
});

describe('a version that cannot be had', () => {
  test('is answered with the majors there are', () => {
    const error = notAvailable(parseWant('nodejs:19'), ['22.1.0', '18.2.0', '22.3.0', '20.1.0']);
    expect(error.message).toBe('nodejs:19 cannot be had here; available: 18, 20, 22.');
    expect(error.hint).toContain('nodejs:22');
  });

  test('is answered with exact versions when only the rest of it is wrong', () => {
    const error = notAvailable(parseWant('nodejs:22.99'), ['22.1.0', '20.1.0', '22.10.0']);
    expect(error.message).toBe('nodejs:22.99 cannot be had here; available: 22.1.0, 22.10.0.');
  });

  test('says when it was remembered rather than asked for', () => {
    const error = notAvailable({ ...parseWant('nodejs:22'), version: '22.5.0' }, ['22.6.0']);
    expect(error.message).toContain('nodejs:22 (22.5.0 on this installation)');
  });
});
