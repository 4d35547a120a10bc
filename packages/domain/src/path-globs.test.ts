import { expect, test } from 'vitest';
import { matchesPathGlobs, pathGlobProblem } from './path-globs.ts';

test.each<[string[], string, boolean]>([
  [['web/**'], 'web/src/a.ts', true],
  [['web/**'], 'webs/a.ts', false],
  [['web'], 'web/src/a.ts', true],
  [['web/'], 'web/a.ts', true],
  [['web'], 'web', true],
  [['*.md'], 'README.md', true],
  [['*.md'], 'docs/README.md', false],
  [['**/*.md'], 'README.md', true],
  [['**/*.md'], 'a/b/c.md', true],
  [['packages/*/src/**'], 'packages/a/src/x.ts', true],
  [['packages/*/src/**'], 'packages/a/b/src/x.ts', false],
  [['a?.txt'], 'ab.txt', true],
  [['a?.txt'], 'a/.txt', false],
  [['a.b'], 'aXb', false],
  [['**', '!docs/**'], 'docs/a.md', false],
  [['**', '!docs/**'], 'src/a.md', true],
  [['**', '!docs/**', 'docs/api/**'], 'docs/api/a.md', true],
  [['!docs/**'], 'src/a.md', false],
  [['a+(b)'], 'a+(b)', true],
])('%j and %s', (globs, path, expected) => {
  expect(matchesPathGlobs([path], globs)).toBe(expected);
});

test('one path is enough, and none is none', () => {
  expect(matchesPathGlobs(['docs/a.md', 'src/b.ts'], ['src/**'])).toBe(true);
  expect(matchesPathGlobs([], ['**'])).toBe(false);
});

test('a hostile glob is answered in no time', () => {
  const deep = ['a/'.repeat(2_000)];
  expect(matchesPathGlobs(deep, [`${'**/a/'.repeat(50)}x`])).toBe(false);
  expect(matchesPathGlobs(['a'.repeat(5_000)], [`${'*a'.repeat(100)}b`])).toBe(false);
});

test.each([
  ['/web', 'root'],
  ['!', 'empty'],
  ['a**b', 'inside a name'],
  ['x'.repeat(400), 'longer'],
])('%s cannot be used', (glob, reason) => {
  expect(pathGlobProblem(glob)).toContain(reason);
});
