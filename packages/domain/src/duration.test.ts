import { expect, test } from 'vitest';
import { parseDuration, spellDuration } from './duration.ts';

test.each([
  ['90s', 90],
  ['30m', 1_800],
  ['12h', 43_200],
  ['14d', 1_209_600],
  ['2w', 1_209_600],
  ['366d', 366 * 86_400],
  ['367d', undefined],
  ['0m', undefined],
  ['30', undefined],
  ['m', undefined],
  ['1.5h', undefined],
  ['-1h', undefined],
  ['30 m', undefined],
  ['30M', undefined],
])('%s', (text, seconds) => {
  expect(parseDuration(text)).toBe(seconds);
});

test.each([
  [45, '45 s'],
  [90, '90 s'],
  [60, '1 min'],
  [1_800, '30 min'],
  [5_400, '90 min'],
  [7_200, '2 h'],
  [86_400, '1 day'],
  [1_209_600, '14 days'],
])('%d s is %s', (seconds, words) => {
  expect(spellDuration(seconds)).toBe(words);
});
