import type { SanitizePolicy } from '@bough/manifest/sanitize-policy';
import { expect, test } from 'vitest';
import { policyDigest } from './policy-digest.ts';

const policy: SanitizePolicy = {
  ...{ kept: ['ids'], tables: [], columns: [], default: 'fail', mounts: [] },
  ...{ largeObjects: 'fail', comments: 'keep' },
};

test('goldens of before there were presets stay what they are; each preset is another policy', () => {
  // As an installation has it in its database.
  expect(policyDigest(policy)).toBe('aa66f9c4819ccc2154f5d3cef7373fdac5dbaa759d1e5143403aa6fabb583da1');
  const digests = [
    policy,
    { ...policy, presets: ['rails'] as const },
    { ...policy, presets: ['node'] as const },
  ];
  expect(new Set(digests.map(policyDigest)).size).toBe(3);
});
