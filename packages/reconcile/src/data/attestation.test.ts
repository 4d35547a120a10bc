import { createPublicKey, verify } from 'node:crypto';
import {
  newAttestationKey,
  openAttestationKeys,
  temporaryAttestationKeys,
} from '@bough/domain/attestation-key';
import { Secret } from '@bough/domain/secret';
import { canonicalDigest } from '@bough/manifest/canonical-json';
import type { SnapshotRow } from '@bough/store/snapshots';
import { describe, expect, test } from 'vitest';
import { type AttestedFacts, AttestedSnapshot, attest, attestedText, isReportOf } from './attestation.ts';

const secret = newAttestationKey();
const keys = openAttestationKeys(new Secret(secret), [], 'memory');
const policy = { sanitize: 'rules' };
const facts: AttestedFacts = {
  snapshotId: '5',
  environmentId: '12',
  sanitize: 'rules',
  policyCommit: 'a'.repeat(40),
  volumes: {
    'service:db': { snapshotId: 's1', type: 'postgresql', version: '17.2' },
    'mount:app:uploads': { snapshotId: 's2', type: 'mount', version: null },
  },
  capturedAt: '2026-01-02T03:04:05.000Z',
};

/** As Postgres gives it back: keys in another order. */
function stored(over: Partial<SnapshotRow> = {}): SnapshotRow {
  const { signature, keyId } = attest(keys, facts);
  const reordered = Object.fromEntries(Object.entries(facts).reverse());
  return {
    id: '5',
    projectId: '3',
    environmentId: '12',
    state: 'frozen',
    sanitize: 'rules',
    policyCommit: facts.policyCommit,
    sourceCommit: null,
    why: null,
    sourceDigest: null,
    volumes: facts.volumes,
    credentialsEncrypted: null,
    attestation: { signature, keyId, facts: reordered },
    failureCode: null,
    failureMessage: null,
    failureHint: null,
    failures: 0,
    failingSince: null,
    retryAt: null,
    sizeBytes: '1',
    capturedAt: new Date(facts.capturedAt),
    frozenAt: new Date(facts.capturedAt),
    ...over,
  };
}

const signed = (changed: object) => ({
  facts: { ...facts, ...changed },
  keyId: keys.current.public.id,
  signature: attest(keys, facts).signature,
});
const refusal = expect.objectContaining({
  code: 'data-not-attested',
  hint: expect.stringContaining('bough data refresh'),
});

test('what was signed and frozen may be cloned', () => {
  expect(AttestedSnapshot.verify(keys, stored(), policy).facts).toEqual(facts);
});

describe('refuses', () => {
  test.each<[string, object]>([
    ['snapshotId', { snapshotId: '6' }],
    ['environmentId', { environmentId: '13' }],
    ['sanitize', { sanitize: 'none' }],
    ['policyCommit', { policyCommit: 'b'.repeat(40) }],
    ['policyCommit taken away', { policyCommit: null }],
    ['capturedAt', { capturedAt: '2026-01-03T03:04:05.000Z' }],
    [
      'volumes: a snapshot',
      {
        volumes: {
          ...facts.volumes,
          'service:db': { snapshotId: 'raw', type: 'postgresql', version: '17.2' },
        },
      },
    ],
    [
      'volumes: a version',
      {
        volumes: {
          ...facts.volumes,
          'service:db': { snapshotId: 's1', type: 'postgresql', version: '16.1' },
        },
      },
    ],
    [
      'volumes: one more',
      { volumes: { ...facts.volumes, 'service:x': { snapshotId: 's3', type: 'redis', version: null } } },
    ],
    ['volumes: none', { volumes: {} }],
  ])('a changed fact: %s', (_, changed) => {
    expect(() => AttestedSnapshot.verify(keys, stored({ attestation: signed(changed) }), policy)).toThrow(
      refusal,
    );
  });

  test.each<[string, unknown]>([
    ['none', null],
    ['an empty one', {}],
    ['no signature', { ...attest(keys, facts), signature: undefined }],
    ['an empty signature', { ...attest(keys, facts), signature: '' }],
    ['a signature that is no base64', { ...attest(keys, facts), signature: '%'.repeat(88) }],
    ['half a signature', { ...attest(keys, facts), signature: attest(keys, facts).signature.slice(0, 44) }],
    ['a signature in the words of before', { facts, signature: 'ab'.repeat(32) }],
    [
      'the id of our key over another signature',
      { ...attest(temporaryAttestationKeys(), facts), keyId: keys.current.public.id },
    ],
    ['the signature of another installation', attest(temporaryAttestationKeys(), facts)],
  ])('an attestation: %s', (_, attestation) => {
    expect(() => AttestedSnapshot.verify(keys, stored({ attestation }), policy)).toThrow(refusal);
  });

  test.each(['capturing', 'captured', 'sanitized', 'verified', 'failed', 'removed'] as const)(
    'a row that is %s',
    (state) => {
      expect(() => AttestedSnapshot.verify(keys, stored({ state }), policy)).toThrow(state);
    },
  );

  test('an attestation put on another row', () => {
    expect(() => AttestedSnapshot.verify(keys, stored({ id: '6' }), policy)).toThrow(refusal);
    expect(() => AttestedSnapshot.verify(keys, stored({ environmentId: '13' }), policy)).toThrow(refusal);
  });

  test('volumes of the row that are not the signed ones', () => {
    const volumes = {
      ...facts.volumes,
      'service:db': { snapshotId: 'raw', type: 'postgresql', version: '17.2' },
    };
    expect(() => AttestedSnapshot.verify(keys, stored({ volumes }), policy)).toThrow(refusal);
    expect(() => AttestedSnapshot.verify(keys, stored({ volumes: {} }), policy)).toThrow(refusal);
  });

  test('one made under another policy: a raw one when the policy now sanitizes, and the other way round', () => {
    const raw = { ...facts, sanitize: 'none' };
    const row = stored({ attestation: attest(keys, raw), sanitize: 'none' });
    expect(() => AttestedSnapshot.verify(keys, row, policy)).toThrow(/sanitize: none/);
    expect(AttestedSnapshot.verify(keys, row, { sanitize: 'none' }).facts).toEqual(raw);
    expect(() => AttestedSnapshot.verify(keys, stored(), { sanitize: 'none' })).toThrow(refusal);
  });
});

test('one of another source: refused; one that says nothing of its source is taken', () => {
  const of = (source: string) => stored({ attestation: attest(keys, { ...facts, source }) });
  const now = { ...policy, source: 'a' };
  expect(AttestedSnapshot.verify(keys, of('a'), now).facts.source).toBe('a');
  expect(() => AttestedSnapshot.verify(keys, of('b'), now)).toThrow(/another `source:`/);
  expect(AttestedSnapshot.verify(keys, stored(), now).facts.source).toBeUndefined();
});

test('what a former key signed may be cloned while the rotation is not done, and not afterwards', () => {
  const row = stored();
  const next = newAttestationKey();
  const between = openAttestationKeys(new Secret(next), [new Secret(secret)], 'memory');
  expect(AttestedSnapshot.verify(between, row, policy).facts).toEqual(facts);
  const after = openAttestationKeys(new Secret(next), [], 'memory');
  expect(() => AttestedSnapshot.verify(after, row, policy)).toThrow(refusal);
});

test('anybody verifies it with the public key and the text alone', () => {
  const { signature } = attest(keys, facts);
  const key = createPublicKey(keys.current.public.pem);
  const isOurs = (text: string) => verify(null, Buffer.from(text), key, Buffer.from(signature, 'base64'));
  expect(isOurs(attestedText(facts))).toBe(true);
  expect(isOurs(attestedText({ ...facts, snapshotId: '6' }))).toBe(false);
});

test('a report is that of its facts or it is not', () => {
  const report = { project: 'shop', services: {} };
  const signedFacts = { ...facts, report: canonicalDigest(report) };
  expect(isReportOf(signedFacts, { services: {}, project: 'shop' })).toBe(true);
  expect(isReportOf(signedFacts, { ...report, project: 'other' })).toBe(false);
  expect(isReportOf(facts, null)).toBe(false);
});

test('the private key is in no attestation', () => {
  expect(JSON.stringify(attest(keys, facts))).not.toContain(secret);
});
