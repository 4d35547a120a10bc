import { canonicalDigest } from '@bough/manifest/canonical-json';
import type { SanitizePolicy } from '@bough/manifest/sanitize-policy';
import { withPresetRules } from './preset-rules.ts';

/** Part of every digest: a golden that an older masker made is made anew. */
export const sanitizerVersion = 2;

/** What a snapshot's row says of its policy: the word `none`, or the digest of the rules. */
export function sanitizeLabel(sanitize: 'none' | SanitizePolicy): string {
  return sanitize === 'none' ? sanitize : policyDigest(sanitize);
}

/** Names the policy in the snapshot's row and its attestation. Never `none`. */
export function policyDigest(policy: SanitizePolicy): string {
  return canonicalDigest({ sanitizerVersion, policy: withPresetRules(policy) });
}
