import { Secret } from '@bough/domain/secret';
import type { SnapshotRow } from '@bough/store/snapshots';
import { describe, expect, test } from 'vitest';
import { type AttestedFacts, AttestedSnapshot, attest } from './attestation.ts';

const key = new Secret('installation-signing-key');
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
  const { signature } = attest(key, facts);
  const reordered = Object.fromEntries(Object.entries(facts).reverse());
  return {
    id: '5',
    projectId: '3',
    environmentId: '12',
    state: 'frozen',
    sanitize: 'rules',
    policyCommit: facts.policyCommit,
    sourceCommit: null,
    volumes: facts.volumes,
    credentialsEncrypted: null,
    attestation: { signature, facts: reordered },
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
  signature: attest(key, facts).signature,
});
const refusal = expect.objectContaining({
  code: 'data-not-attested',
  hint: expect.stringContaining('bough data refresh'),
});

test('what was signed and frozen may be cloned', () => {
  expect(AttestedSnapshot.verify(key, stored(), policy).facts).toEqual(facts);
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
    expect(() => AttestedSnapshot.verify(key, stored({ attestation: signed(changed) }), policy)).toThrow(
      refusal,
    );
  });

  test.each<[string, unknown]>([
    ['none', null],
    ['an empty one', {}],
    ['no signature', { facts }],
    ['an empty signature', { facts, signature: '' }],
    ['a signature that is no hex', { facts, signature: 'zz'.repeat(32) }],
    ['half a signature', { facts, signature: attest(key, facts).signature.slice(0, 32) }],
    ['the signature of another installation', attest(new Secret('another-key'), facts)],
  ])('an attestation: %s', (_, attestation) => {
    expect(() => AttestedSnapshot.verify(key, stored({ attestation }), policy)).toThrow(refusal);
  });

  test.each(['capturing', 'captured', 'sanitized', 'verified', 'failed', 'removed'] as const)(
    'a row that is %s',
    (state) => {
      expect(() => AttestedSnapshot.verify(key, stored({ state }), policy)).toThrow(state);
    },
  );

  test('an attestation put on another row', () => {
    expect(() => AttestedSnapshot.verify(key, stored({ id: '6' }), policy)).toThrow(refusal);
    expect(() => AttestedSnapshot.verify(key, stored({ environmentId: '13' }), policy)).toThrow(refusal);
  });

  test('volumes of the row that are not the signed ones', () => {
    const volumes = {
      ...facts.volumes,
      'service:db': { snapshotId: 'raw', type: 'postgresql', version: '17.2' },
    };
    expect(() => AttestedSnapshot.verify(key, stored({ volumes }), policy)).toThrow(refusal);
    expect(() => AttestedSnapshot.verify(key, stored({ volumes: {} }), policy)).toThrow(refusal);
  });

  test('one made under another policy: a raw one when the policy now sanitizes, and the other way round', () => {
    const raw = { ...facts, sanitize: 'none' };
    const row = stored({ attestation: attest(key, raw), sanitize: 'none' });
    expect(() => AttestedSnapshot.verify(key, row, policy)).toThrow(/sanitize: none/);
    expect(AttestedSnapshot.verify(key, row, { sanitize: 'none' }).facts).toEqual(raw);
    expect(() => AttestedSnapshot.verify(key, stored(), { sanitize: 'none' })).toThrow(refusal);
  });
});

test('the key is in no attestation', () => {
  expect(JSON.stringify(attest(key, facts))).not.toContain(key.reveal());
});
