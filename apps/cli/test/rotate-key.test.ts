import { access } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type BoughHome,
  FORMER_ATTESTATION_KEYS_FILE,
  FORMER_KEYS_FILE,
  newMasterKey,
  openHome,
} from '@bough/boot/home';
import { Secret } from '@bough/domain/secret';
import { attest, signerOf } from '@bough/reconcile/data/attestation';
import { createEncryption } from '@bough/store/encryption';
import { createTempHome, type TempHome } from '@bough/testkit/temp-home';
import { createTestDatabase, type TestDatabase } from '@bough/testkit/test-database';
import pg from 'pg';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { rotateMasterKey } from '../src/rotate-master-key.ts';

let folder: TempHome;
let database: TestDatabase;
let client: pg.Client;
beforeEach(async () => {
  folder = await createTempHome('rotate');
  database = await createTestDatabase();
  client = new pg.Client({ connectionString: database.url });
  await client.connect();
});
afterEach(async () => {
  await client.end();
  await database.drop();
  await folder.remove();
});

const open = () => openHome({ path: folder.path });
const encryptionOf = (home: BoughHome) =>
  createEncryption({ current: home.masterKey, former: home.formerMasterKeys });
const rotate = (home: BoughHome, databaseUrl = database.url) =>
  rotateMasterKey({ home, databaseUrl, newKey: new Secret(newMasterKey()), keyIsInFile: true });

async function store(home: BoughHome): Promise<void> {
  await client.query(
    `insert into projects (id, installation_id, forge, forge_host, repository_id, owner, name, slug, default_branch, entropy)
     overriding system value values (1, 'i1', 'github', 'github.com', 1, 'acme', 'shop', 'shop', 'main', 'e')`,
  );
  await client.query(
    `insert into variables (project_id, name, value_encrypted, secret, at_build, at_run, for_production, for_preview)
     values (1, 'TOKEN', $1, true, false, true, true, false)`,
    [encryptionOf(home).encrypt(new Secret('hush'), 'variable:1:TOKEN')],
  );
}

async function read(home: BoughHome): Promise<string | undefined> {
  const { rows } = await client.query<{ value: Buffer }>('select value_encrypted as value from variables');
  return rows[0] && encryptionOf(home).decrypt(rows[0].value, 'variable:1:TOKEN').reveal();
}

test('the new key reads everything, the former one is gone, and what was signed stays valid', async () => {
  const before = await open();
  await store(before);
  const facts = { snapshotId: '1' };
  await client.query(
    `insert into snapshots (project_id, sanitize, state, attestation) values (1, 'none', 'frozen', $1)`,
    [JSON.stringify(attest(before.attestationKeys, facts))],
  );
  expect(await rotate(before)).toEqual({ reencrypted: 1, signed: 1 });
  const after = await open();
  const key = after.attestationKeys.current.public;
  expect(after.attestationKeys.former).toEqual([]);
  expect(key.id).not.toBe(before.attestationKeys.current.public.id);
  const { rows } = await client.query('select attestation from snapshots');
  expect(rows[0]?.attestation).toMatchObject({ facts, keyId: key.id });
  expect(signerOf(rows[0]?.attestation, [key])?.pem).toBe(key.pem);
  expect(after.masterKey.reveal()).not.toBe(before.masterKey.reveal());
  expect(after.formerMasterKeys).toEqual([]);
  expect(after.signingKey.reveal()).toBe(before.signingKey.reveal());
  expect(await read(after)).toBe('hush');
  await expect(read(before)).rejects.toMatchObject({ code: 'master-key-wrong' });
});

test('cut short before the database, everything is read all the same, and the next call ends it', async () => {
  const before = await open();
  await store(before);
  const nowhere = new URL(database.url);
  nowhere.pathname = '/nowhere';
  await expect(rotate(before, nowhere.href)).rejects.toThrow('nowhere');
  const between = await open();
  const { current, former } = between.attestationKeys;
  expect(former.map(({ id }) => id)).toEqual([before.attestationKeys.current.public.id]);
  expect(current.public.id).not.toBe(former[0]?.id);
  expect(await read(between)).toBe('hush');
  expect(await rotate(between)).toEqual({ reencrypted: 1, signed: 0 });
  expect(await read(await open())).toBe('hush');
  for (const file of [FORMER_KEYS_FILE, FORMER_ATTESTATION_KEYS_FILE])
    await expect(access(join(folder.path, file))).rejects.toThrow('ENOENT');
});
