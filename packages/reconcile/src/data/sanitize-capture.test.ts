import { BoughError } from '@bough/domain/bough-error';
import type { SanitizePolicy } from '@bough/manifest/sanitize-policy';
import { expect, test } from 'vitest';
import { mountRuleOf, refuseUndecidedMounts, refuseUnusedRules, unfitNote } from './sanitize-capture.ts';

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

test('a mount is decided by the name that the manifest gives it, of any app or of one', () => {
  const rules = ['web:uploads', 'api:uploads', 'web:avatars', 'admin:files', 'web:files', 'uploads-old'].map(
    (volume) => mountRuleOf(policy, volume),
  );
  expect(rules).toEqual(['keep', 'keep', 'drop', 'keep', undefined, undefined]);
});

test('a mount that no rule names blocks, with a line to paste; or starts empty where the policy says so of all unknowns', () => {
  const volumes = ['web:uploads', 'web:invoices'];
  expect(() => refuseUndecidedMounts(policy, volumes, voice)).toThrow(
    expect.objectContaining({
      code: 'data-not-sanitized',
      message: expect.stringContaining('mounts: invoices: No rule decides'),
      hint: expect.stringContaining('`mounts: { "invoices": drop }`'),
    }),
  );
  expect(() => refuseUndecidedMounts(policy, ['web:uploads'], voice)).not.toThrow();
  expect(() => refuseUndecidedMounts({ ...policy, default: 'null-unknown' }, volumes, voice)).not.toThrow();
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
