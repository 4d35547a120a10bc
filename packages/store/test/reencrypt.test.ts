import { randomBytes } from 'node:crypto';
import { Secret } from '@bough/domain/secret';
import { createTestDatabase, type TestDatabase } from '@bough/testkit/test-database';
import type pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ensureCredential, findCredential } from '../src/credentials.ts';
import { createPool, transaction } from '../src/database.ts';
import { createEncryption } from '../src/encryption.ts';
import { writeDesired } from '../src/environments.ts';
import { insertProject } from '../src/projects.ts';
import { reencrypt } from '../src/reencrypt.ts';
import { insertSnapshot } from '../src/snapshots.ts';
import { readVariables, setVariable } from '../src/variables.ts';
import { examplePreview, exampleProject } from './example-rows.ts';

let database: TestDatabase;
let pool: pg.Pool;
beforeAll(async () => {
  database = await createTestDatabase();
  pool = createPool({ url: database.url, max: 2, applicationName: 'test' });
});
afterAll(async () => {
  await pool.end();
  await database.drop();
});

const newKey = () => new Secret(randomBytes(32).toString('base64'));

/** One value of each kind, written with `encryption`. */
async function fill(
  encryption: ReturnType<typeof createEncryption>,
): Promise<{ projectId: string; environmentId: string }> {
  const { id: projectId } = await insertProject(pool, exampleProject(1));
  const { environment } = await writeDesired(pool, examplePreview(projectId, 1));
  const environmentId = environment.id;
  await setVariable(pool, encryption, {
    ...{ projectId, name: 'TOKEN', value: new Secret('variable'), secret: true },
    ...{ atBuild: true, atRun: true, forProduction: true, forPreview: false },
  });
  await ensureCredential(
    pool,
    encryption,
    { environmentId, name: 'service:db' },
    () => new Secret('credential'),
  );
  const snapshot = await insertSnapshot(pool, {
    environmentId,
    sanitize: 'none',
    policyCommit: null,
    sourceCommit: null,
  });
  await pool.query('update snapshots set credentials_encrypted = $1 where id = $2', [
    encryption.encrypt(new Secret('snapshot'), `snapshot:${snapshot.id}`),
    snapshot.id,
  ]);
  return { projectId, environmentId };
}

test('after it, every value is read with the new key alone', async () => {
  const [former, current] = [newKey(), newKey()];
  const { projectId, environmentId } = await fill(createEncryption({ current: former }));
  const both = createEncryption({ current, former: [former] });
  expect(await transaction(pool, (db) => reencrypt(db, both))).toBe(3);

  const alone = createEncryption({ current });
  const [variable] = await readVariables(pool, alone, { projectId, at: 'build', kind: 'production' });
  expect(variable?.value.reveal()).toBe('variable');
  const credential = await findCredential(pool, alone, { environmentId, name: 'service:db' });
  expect(credential?.reveal()).toBe('credential');
  const { rows } = await pool.query<{ id: string; value: Buffer }>(
    'select id::text, credentials_encrypted as value from snapshots',
  );
  const [snapshot] = rows;
  expect(snapshot && alone.decrypt(snapshot.value, `snapshot:${snapshot.id}`).reveal()).toBe('snapshot');
});

test('a value of a key that nobody has fails it, and nothing is written', async () => {
  const before = await pool.query('select value_encrypted from credentials');
  const stranger = createEncryption({ current: newKey() });
  await expect(transaction(pool, (db) => reencrypt(db, stranger))).rejects.toMatchObject({
    code: 'master-key-wrong',
  });
  expect((await pool.query('select value_encrypted from credentials')).rows).toEqual(before.rows);
});

test('an encrypted column that it does not know fails it', async () => {
  await pool.query('create table newcomers (value_encrypted bytea)');
  const encryption = createEncryption({ current: newKey() });
  await expect(transaction(pool, (db) => reencrypt(db, encryption))).rejects.toMatchObject({
    code: 'reencrypt-incomplete',
  });
  await pool.query('drop table newcomers');
});
