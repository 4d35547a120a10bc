import { createHmac } from 'node:crypto';
import {
  newAttestationKey,
  openAttestationKeys,
  temporaryAttestationKeys,
} from '@bough/domain/attestation-key';
import { Secret } from '@bough/domain/secret';
import { canonicalJson } from '@bough/manifest/canonical-json';
import { listAttestationKeys } from '@bough/store/attestation-keys';
import { transaction } from '@bough/store/database';
import { findSnapshot, freezeSnapshot, insertSnapshot, type SnapshotRow } from '@bough/store/snapshots';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { attestAnew } from '../src/data/attest-anew.ts';
import { AttestedSnapshot, attest } from '../src/data/attestation.ts';
import { cloneSnapshot } from '../src/data/choose-data.ts';
import type { PlannedRun } from '../src/deploy/run.ts';
import { type Harness, openHarness } from './harness.ts';

// As it is stored: what somebody with the database in hand can change must not be cloned.

let harness: Harness;
beforeAll(async () => {
  harness = await openHarness();
});
afterAll(() => harness.close());

const former = new Secret('hmac');
const volumes = { 'service:db': { snapshotId: 's1', type: 'postgresql:17', version: '17.2' } };

function factsOf({ id, projectId }: SnapshotRow) {
  return {
    ...{
      snapshotId: id,
      environmentId: null,
      projectId,
      sanitize: 'none',
      policyCommit: 'a'.repeat(40),
      volumes,
    },
    capturedAt: '2026-01-02T03:04:05.000Z',
  };
}

/** A frozen golden with the attestation that `sign` makes of its facts. */
async function freeze(sign: (facts: ReturnType<typeof factsOf>) => unknown): Promise<string> {
  const { pool, projectId } = harness;
  const row = await insertSnapshot(pool, {
    ...{ environmentId: null, projectId, sanitize: 'none', policyCommit: 'a'.repeat(40), sourceCommit: null },
  });
  const attestation = sign(factsOf(row));
  await freezeSnapshot(pool, row.id, {
    ...{ volumes, attestation, report: null, sizeBytes: 1, capturedAt: new Date() },
    credentialsEncrypted: harness.context.encryption.encrypt(new Secret('{}'), `snapshot:${row.id}`),
  });
  return row.id;
}

async function read(id: string): Promise<SnapshotRow> {
  const row = await findSnapshot(harness.pool, id);
  if (row === undefined) throw new Error(`no snapshot ${id}`);
  return row;
}

test.each([
  ['the facts', `attestation = jsonb_set(attestation, '{facts,policyCommit}', '"other"')`],
  ['a fact more', `attestation = jsonb_set(attestation, '{facts,extra}', '1')`],
  ['the volumes', `volumes = jsonb_set(volumes, '{service:db,snapshotId}', '"raw"')`],
  [
    'facts and volumes alike',
    `volumes = jsonb_set(volumes, '{service:db,snapshotId}', '"raw"'),
     attestation = jsonb_set(attestation, '{facts,volumes,service:db,snapshotId}', '"raw"')`,
  ],
  ['the signature', `attestation = jsonb_set(attestation, '{signature}', '"AAAA"')`],
  ['the attestation, taken away', 'attestation = null'],
])('%s changed in the database: nothing is cloned', async (_, change) => {
  const id = await freeze((facts) => attest(harness.context.attestationKeys, facts));
  const environment = await harness.row(await harness.wish(await harness.commit()));
  const run = {
    ...{ context: harness.context, environment, policy: { data: { sanitize: 'none', source: {} } } },
    ...{ plan: { common: { services: [], apps: [] } }, project: { slug: 'shop' } },
  } as unknown as PlannedRun;
  const voice = { line() {}, note: async () => {} };
  expect((await cloneSnapshot(run, await read(id), voice)).note).toContain('clone of shop');
  await harness.pool.query(`update snapshots set ${change} where id = $1`, [id]);
  await expect(cloneSnapshot(run, await read(id), voice)).rejects.toMatchObject({
    code: 'data-not-attested',
    hint: expect.stringContaining('bough data refresh'),
  });
});

test('goldens of before and of a former key are signed anew at the start, strangers’ are not', async () => {
  await harness.pool.query('delete from snapshots');
  const old = newAttestationKey();
  const before = openAttestationKeys(new Secret(old), [], 'memory');
  const keys = openAttestationKeys(new Secret(newAttestationKey()), [new Secret(old)], 'memory');
  const hmac = (secret: string) => (facts: object) => ({
    facts,
    signature: createHmac('sha256', `bough attestation v1:${secret}`)
      .update(canonicalJson(facts))
      .digest('hex'),
  });
  const ours = [
    await freeze(hmac(former.reveal())),
    await freeze((facts) => attest(before, facts)),
    await freeze((facts) => attest(keys, facts)),
  ];
  const strangers = [
    await freeze(hmac('another installation')),
    await freeze((facts) => attest(temporaryAttestationKeys(), facts)),
    await freeze(() => ({})),
  ];
  const anew = () => transaction(harness.pool, (db) => attestAnew(db, keys, former));
  await transaction(harness.pool, (db) => attestAnew(db, before, former));
  expect(await anew()).toEqual({ signed: 2, refused: strangers });
  expect(await anew()).toEqual({ signed: 0, refused: strangers });
  const now = { current: keys.current, former: [] };
  for (const id of ours)
    expect(AttestedSnapshot.verify(now, await read(id), { sanitize: 'none' }).facts.snapshotId).toBe(id);
  for (const row of await Promise.all(strangers.map(read)))
    expect(() => AttestedSnapshot.verify(now, row, { sanitize: 'none' })).toThrow('cannot be cloned');
  expect(await listAttestationKeys(harness.pool)).toMatchObject([
    { id: keys.current.public.id, publicKey: keys.current.public.pem, retiredAt: null },
    { id: before.current.public.id, retiredAt: expect.any(Date) },
  ]);
});
