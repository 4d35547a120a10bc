import { createHmac, timingSafeEqual } from 'node:crypto';
import type { AttestationKeys } from '@bough/domain/attestation-key';
import type { Secret } from '@bough/domain/secret';
import { canonicalJson } from '@bough/manifest/canonical-json';
import { rememberAttestationKey } from '@bough/store/attestation-keys';
import type { Database } from '@bough/store/database';
import { lockAttestations, writeAttestation } from '@bough/store/snapshots';
import { z } from 'zod';
import { Attestation, attest, signerOf } from './attestation.ts';

/** As goldens were attested before there was a key that others can verify with: an HMAC under the installation's own. */
const FormerAttestation = z.object({ facts: z.record(z.string(), z.unknown()), signature: z.string() });

/**
 * Signs with the current key whatever goldens were signed with a former one, or were attested before there was one. The
 * facts stay what they are. What nobody of ours signed is left alone: it is refused when it is to be cloned. Runs in the
 * caller's transaction, at each start and when the key is rotated.
 */
export async function attestAnew(
  db: Database,
  keys: AttestationKeys,
  formerSecret: Secret,
): Promise<{ signed: number; refused: string[] }> {
  await rememberAttestationKey(db, keys.current.public);
  let signed = 0;
  const refused: string[] = [];
  for (const { id, attestation } of await lockAttestations(db)) {
    const present = Attestation.safeParse(attestation);
    const signer = present.success && signerOf(present.data, [keys.current.public, ...keys.former]);
    if (signer && signer.id === keys.current.public.id) continue;
    const facts = signer && present.success ? present.data.facts : factsOfHmac(attestation, formerSecret);
    if (facts === undefined) {
      refused.push(id);
      continue;
    }
    await writeAttestation(db, id, attest(keys, facts));
    signed += 1;
  }
  return { signed, refused };
}

function factsOfHmac(attestation: unknown, secret: Secret): Record<string, unknown> | undefined {
  const parsed = FormerAttestation.safeParse(attestation);
  if (!parsed.success) return undefined;
  const { facts, signature } = parsed.data;
  const expected = createHmac('sha256', `bough attestation v1:${secret.reveal()}`)
    .update(canonicalJson(facts))
    .digest();
  const given = Buffer.from(signature, 'hex');
  return expected.length === given.length && timingSafeEqual(expected, given) ? facts : undefined;
}
