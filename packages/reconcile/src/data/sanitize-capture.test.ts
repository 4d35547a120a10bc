import { BoughError } from '@bough/domain/bough-error';
import type { SanitizePolicy } from '@bough/manifest/sanitize-policy';
import { expect, test } from 'vitest';
import { keepsMount, refuseUnusedRules, unfitNote } from './sanitize-capture.ts';

const policy: SanitizePolicy = {
  kept: [],
  tables: [],
  columns: [],
  default: 'fail',
  mounts: [
    { pattern: 'uploads', rule: 'keep' },
    { pattern: 'avatars', rule: 'drop' },
    { pattern: 'admin:*', rule: 'keep' },
  ],
  largeObjects: 'fail',
  comments: 'keep',
};
const voice = { line: () => {}, note: async () => {} };

test('keeps the mounts that are named so, of any app or of one; all others start empty', () => {
  const kept = [
    'web:uploads',
    'api:uploads',
    'web:avatars',
    'admin:files',
    'web:files',
    'uploads-old',
  ].filter((volume) => keepsMount(policy, volume));
  expect(kept).toEqual(['web:uploads', 'api:uploads', 'admin:files']);
});

test('a rule that matched nothing in any service leaves previews without data, in words for the pull request', () => {
  const rules = { ...policy, columns: [{ pattern: '*_mail', rule: { rule: 'null' as const } }] };
  expect(() => refuseUnusedRules(rules, new Set(['columns: *_mail']), voice)).not.toThrow();
  let thrown: unknown;
  try {
    refuseUnusedRules(rules, new Set(), voice);
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toMatchObject({ code: 'data-not-sanitized' });
  expect(unfitNote(thrown)).toMatch(/^services start empty, because .*columns: \*_mail matches nothing/);
});

test('other failures are not swallowed', () => {
  expect(unfitNote(new BoughError({ code: 'capture-not-ready', message: 'x' }))).toBeUndefined();
  expect(unfitNote(new Error('x'))).toBeUndefined();
});
