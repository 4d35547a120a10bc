import { expect, test } from 'vitest';
import { readManifest } from './read-manifest.ts';
import { starterManifest } from './starter-manifest.ts';

test('the starter manifest reads, with the type and the command that were asked for', () => {
  const { path, text } = starterManifest({ type: 'nodejs:22', start: 'exec node "server.js" # start' });
  const result = readManifest({ [path]: text });
  expect(result.kind).toBe('manifest');
  if (result.kind !== 'manifest') return;
  expect(result.manifest.apps.map(({ type, web }) => [type, web?.start])).toEqual([
    ['nodejs:22', 'exec node "server.js" # start'],
  ]);
  expect(result.manifest.data).toBeNull();
});

test('a type that cannot be read is refused before anything is proposed', () => {
  expect(() => starterManifest({ type: 'nodejs', start: 'node .' })).toThrow(/type/);
});
