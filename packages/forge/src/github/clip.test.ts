import { expect, it } from 'vitest';
import { clip } from './clip.ts';

it('cuts what is too long, by characters, and shows it', () => {
  expect(clip('abc', 3)).toBe('abc');
  expect(clip('abcd', 3)).toBe('ab…');
  expect(clip('🌳🌳🌳', 2)).toBe('🌳…');
});
