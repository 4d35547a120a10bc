import type { AttestationKeys, PublicKey } from '@bough/domain/attestation-key';
import { BoughError } from '@bough/domain/bough-error';
import { FilesReport, KeysReport } from '@bough/domain/data-report';
import { canonicalDigest, canonicalJson } from '@bough/manifest/canonical-json';
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
  /** Digest of the `data: source:` at the time; absent for those made before this was signed. */
  source: z.string().optional(),
  policyCommit: z.string().nullable(),
  /** Service → what its masking did and what was looked at; absent when raw. */
  masking: z
    .record(z.string(), z.object({ schemaDigest: z.string(), counts: z.record(z.string(), z.number()) }))
    .optional(),
  /** Mount → what became of its files, where they were masked one by one. Counts, never a name. */
  files: z.record(z.string(), FilesReport).optional(),
  /** Service → what was copied of its keys. Counts and patterns, never a name of one. */
  keys: z.record(z.string(), KeysReport).optional(),
  /** Service or mount name → the storage's snapshot and the server version that wrote it. */
  volumes: z.record(
    z.string(),
    z.object({ snapshotId: z.string(), type: z.string(), version: z.string().nullable() }),
  ),
  capturedAt: z.string(),
  /** Absent where nothing running was captured. */
  span: AttestedSpan.optional(),
  installationId: z.string().optional(),
  /** Digest of the report that was stored with it; absent for those made before there were reports. */
  report: z.string().optional(),
});
export type AttestedFacts = z.infer<typeof AttestedFacts>;

/** The facts stay as they are stored: a field that this version does not know is signed too. */
export const Attestation = z.object({
  facts: z.record(z.string(), z.unknown()),
  /** Of the key that signed. */
  keyId: z.string(),
  /** Ed25519 over `attestedText`, base64. */
  signature: z.string(),
});
export type Attestation = z.infer<typeof Attestation>;

export function attest(keys: AttestationKeys, facts: Readonly<Record<string, unknown>>): Attestation {
  const { current } = keys;
  return { facts: { ...facts }, keyId: current.public.id, signature: current.sign(attestedText(facts)) };
}

/** What is signed, byte for byte: others verify it without Bough. */
export function attestedText(facts: Readonly<Record<string, unknown>>): string {
  return `bough attestation v2\n${canonicalJson(facts)}`;
}

/** Undefined: nobody of these signed it. */
export function signerOf(
  { facts, signature }: Pick<Attestation, 'facts' | 'signature'>,
  keys: readonly PublicKey[],
): PublicKey | undefined {
  const text = attestedText(facts);
  return keys.find((key) => key.isSignatureOf(text, signature));
}

/** Whether the report is the one that was signed with these facts. */
export function isReportOf(facts: Readonly<Record<string, unknown>>, report: unknown): boolean {
  return report !== null && facts.report === canonicalDigest(report);
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
  static verify(
    keys: AttestationKeys,
    row: SnapshotRow,
    policy: { sanitize: string; source?: string },
  ): AttestedSnapshot {
    const refuse = (why: string) =>
      new BoughError({
        code: 'data-not-attested',
        message: `The golden snapshot ${row.id} cannot be cloned: ${why}.`,
        hint: 'Run `bough data refresh` to make a new one from production.',
      });
    if (row.state !== 'frozen') throw refuse(`it is ${row.state}, not frozen`);
    const attestation = Attestation.safeParse(row.attestation);
    if (!attestation.success) throw refuse('it has no attestation');
    if (signerOf(attestation.data, [keys.current.public, ...keys.former]) === undefined)
      throw refuse('its signature is not ours');
    const parsed = AttestedFacts.safeParse(attestation.data.facts);
    if (!parsed.success) throw refuse('its attestation says something else than this version of Bough knows');
    const facts = parsed.data;
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
    if (facts.source !== undefined && policy.source !== undefined && facts.source !== policy.source)
      throw refuse('its data came from another `source:` than the policy names now');
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
  return canonicalJson(signed) === canonicalJson(stored);
}
