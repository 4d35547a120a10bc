import { createHmac, timingSafeEqual } from 'node:crypto';
import { BoughError } from '@bough/domain/bough-error';
import type { Secret } from '@bough/domain/secret';
import type { SnapshotRow, SnapshotVolume } from '@bough/store/snapshots';
import { z } from 'zod';

/** How far apart the parts of a golden may be: `instant` when there is no apart. */
export const AttestedSpan = z.object({ instant: z.boolean(), spreadMs: z.number() });
export type AttestedSpan = z.infer<typeof AttestedSpan>;

/** What is signed about a golden snapshot. Whoever changes any of it afterwards cannot clone it. */
export const AttestedFacts = z.object({
  snapshotId: z.string(),
  /** Null: production's data that came from elsewhere. */
  environmentId: z.string().nullable(),
  projectId: z.string().optional(),
  /** The policy at the time: `none` = raw, otherwise the digest of its rules. */
  sanitize: z.string(),
  policyCommit: z.string().nullable(),
  /** Service → what its masking did and what was looked at; absent when raw. */
  masking: z
    .record(z.string(), z.object({ schemaDigest: z.string(), counts: z.record(z.string(), z.number()) }))
    .optional(),
  /** Service or mount name → the storage's snapshot and the server version that wrote it. */
  volumes: z.record(
    z.string(),
    z.object({ snapshotId: z.string(), type: z.string(), version: z.string().nullable() }),
  ),
  capturedAt: z.string(),
  /** Absent where nothing running was captured. */
  span: AttestedSpan.optional(),
});
export type AttestedFacts = z.infer<typeof AttestedFacts>;

const Signed = z.object({ facts: AttestedFacts, signature: z.string() });

export function attest(key: Secret, facts: AttestedFacts): z.infer<typeof Signed> {
  return { facts, signature: sign(key, facts) };
}

/**
 * A snapshot that may be cloned. There is no other way to one than `verify`, and cloning takes nothing else: not an id,
 * not a path.
 */
export class AttestedSnapshot {
  readonly facts: AttestedFacts;

  private constructor(facts: AttestedFacts) {
    this.facts = facts;
  }

  /** Throws BoughError `data-not-attested` unless the row is frozen, signed by this installation and as the policy wants it. */
  static verify(key: Secret, row: SnapshotRow, policy: { sanitize: string }): AttestedSnapshot {
    const refuse = (why: string) =>
      new BoughError({
        code: 'data-not-attested',
        message: `The golden snapshot ${row.id} cannot be cloned: ${why}.`,
        hint: 'Run `bough data refresh` to make a new one from production.',
      });
    if (row.state !== 'frozen') throw refuse(`it is ${row.state}, not frozen`);
    const parsed = Signed.safeParse(row.attestation);
    if (!parsed.success) throw refuse('it has no attestation');
    const { facts, signature } = parsed.data;
    const expected = Buffer.from(sign(key, facts), 'hex');
    const given = Buffer.from(signature, 'hex');
    if (expected.length !== given.length || !timingSafeEqual(expected, given))
      throw refuse('its signature is not ours');
    const isOfProject =
      facts.projectId === undefined ? facts.environmentId !== null : facts.projectId === row.projectId;
    if (facts.snapshotId !== row.id || facts.environmentId !== row.environmentId || !isOfProject)
      throw refuse('its attestation is for another snapshot');
    if (!sameVolumes(facts.volumes, row.volumes)) throw refuse('its volumes changed since it was signed');
    if (facts.sanitize !== policy.sanitize) {
      throw refuse(
        `it was made under \`sanitize: ${brief(facts.sanitize)}\` and the policy now says \`${brief(policy.sanitize)}\``,
      );
    }
    return new AttestedSnapshot(facts);
  }
}

/** A digest as people see it. */
function brief(sanitize: string): string {
  return /^[0-9a-f]{64}$/.test(sanitize) ? `rules ${sanitize.slice(0, 12)}` : sanitize;
}

function sameVolumes(
  signed: Readonly<Record<string, SnapshotVolume>>,
  stored: Readonly<Record<string, SnapshotVolume>>,
): boolean {
  return canonical(signed) === canonical(stored);
}

function sign(key: Secret, facts: AttestedFacts): string {
  return createHmac('sha256', `bough attestation v1:${key.reveal()}`).update(canonical(facts)).digest('hex');
}

/** JSON with sorted keys: the same facts always give the same bytes. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (value !== null && typeof value === 'object') {
    const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
    return `{${entries.map(([name, inner]) => `${JSON.stringify(name)}:${canonical(inner)}`).join(',')}}`;
  }
  return JSON.stringify(value);
}
