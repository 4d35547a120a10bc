import { canonicalDigest } from '@bough/manifest/canonical-json';
import type { SanitizePolicy } from '@bough/manifest/sanitize-policy';

/** Part of every digest: a golden that an older masker made is made anew. */
export const sanitizerVersion = 1;

/** Names the policy in the snapshot's row and its attestation. Never `none`. */
export function policyDigest(policy: SanitizePolicy): string {
  return canonicalDigest({ sanitizerVersion, policy });
}
