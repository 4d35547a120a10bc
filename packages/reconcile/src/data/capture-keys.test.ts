import type { KeyRule, SanitizePolicy } from '@bough/manifest/sanitize-policy';
import { expect, test } from 'vitest';
import type { CaptureRun } from '../deploy/run.ts';
import { refuseUnknownKeyServices, wantedKeys } from './capture-keys.ts';

const rule: KeyRule = { allow: ['catalog:*'], why: null, types: [], ttl: null, holds: [] };
const parent = {
  // Of a service it is only asked whether its keys can be chosen.
  context: { service: (type: string) => ({ keyed: type.startsWith('postgresql') ? undefined : {} }) },
  plan: {
    common: {
      services: [
        { name: 'cache', type: 'redis', version: '7.0' },
        { name: 'sessions', type: 'valkey-persistent', version: '8.0' },
        { name: 'db', type: 'postgresql', version: '17' },
      ],
    },
  },
} as unknown as CaptureRun;
const keysOf = (...patterns: string[]): Pick<SanitizePolicy, 'keys'> => ({
  keys: patterns.map((pattern) => ({ pattern, rule: [rule] })),
});
const voice = { line() {}, note: async () => {} };

test('nothing is copied but of the services that rules name', () => {
  const names = (policy: Pick<SanitizePolicy, 'keys'> | null) =>
    wantedKeys(parent, policy).map(({ planned }) => planned.name);
  expect(names(null)).toEqual([]);
  expect(names({})).toEqual([]);
  expect(names(keysOf('cache'))).toEqual(['cache']);
  expect(names(keysOf('*'))).toEqual(['cache', 'sessions']);
});

test('a rule for a service that is none of these blocks, and says which there are', () => {
  expect(() => refuseUnknownKeyServices(parent, {}, voice)).not.toThrow();
  expect(() => refuseUnknownKeyServices(parent, keysOf('cache', 'sess*'), voice)).not.toThrow();
  for (const pattern of ['cahce', 'db'])
    expect(() => refuseUnknownKeyServices(parent, keysOf('cache', pattern), voice)).toThrow(
      expect.objectContaining({
        code: 'data-not-sanitized',
        message: `keys: ${pattern}: Production has no Redis or Valkey service of this name (it has: cache, sessions).`,
      }),
    );
});
