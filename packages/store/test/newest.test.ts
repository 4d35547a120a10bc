import { createTestDatabase, type TestDatabase } from '@bough/testkit/test-database';
import type pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createPool } from '../src/database.ts';
import { listDeliveries, receiveDelivery } from '../src/deliveries.ts';
import { writeDesired } from '../src/environments.ts';
import { appendEvent, listEvents } from '../src/events.ts';
import { insertProject } from '../src/projects.ts';
import { insertRequest, lastRequest, openRequests } from '../src/requests.ts';
import {
  failSnapshot,
  freezeSnapshot,
  insertSnapshot,
  listKeptSnapshots,
  listNewestGoldens,
} from '../src/snapshots.ts';

// Ids are read as text, and text sorts "10" before "9": a bare `order by id` means the column of the answer.
const COUNT = 12;

let database: TestDatabase;
let pool: pg.Pool;
let projectId: string;
let environmentId: string;

beforeAll(async () => {
  database = await createTestDatabase();
  pool = createPool({ url: database.url, max: 2, applicationName: 'test' });
  projectId = (
    await insertProject(pool, {
      installationId: 'i1',
      forge: 'github',
      forgeHost: 'github.com',
      repositoryId: 1,
      owner: 'acme',
      name: 'shop',
      slug: 'shop',
      defaultBranch: 'main',
      production: 'external',
      intake: 'poll',
      forgeInstallationId: null,
    })
  ).id;
  const { environment } = await writeDesired(pool, {
    projectId,
    installationId: 'i1',
    subject: 'pull/1',
    slug: 'pr-1--shop',
    kind: 'preview',
    facts: {},
    desiredState: 'running',
    desiredCommit: 'a'.repeat(40),
    policyCommit: null,
    heldReason: null,
    variablesRevision: '0',
    requestId: null,
  });
  environmentId = environment.id;
});

afterAll(async () => {
  await pool.end();
  await database.drop();
});

test('the newest of more than nine is the one made last', async () => {
  const made: string[] = [];
  for (let number = 0; number < COUNT; number += 1) {
    const at = { projectId, environmentId };
    await appendEvent(pool, { ...at, actor: 'bough', kind: `event-${number}`, detail: {} });
    await insertSnapshot(pool, { environmentId, sanitize: 'none', policyCommit: 'a', sourceCommit: 'a' });
    const asked = { projectId, subject: 'pull/1', argument: null, askedBy: 'fern' };
    made.push((await insertRequest(pool, { ...asked, kind: 'redeploy' })).id);
    await receiveDelivery(pool, {
      forge: 'github',
      deliveryId: `delivery-${number}`,
      event: 'push',
      action: null,
      repositoryId: 1,
      subjects: ['pull/1'],
      payload: {},
    });
  }
  const of = { projectId, subject: 'pull/1' };
  expect((await lastRequest(pool, { ...of, kinds: ['redeploy'] }))?.id).toBe(made.at(-1));
  expect((await openRequests(pool, of)).map((request) => request.id)).toEqual(made);
  expect((await listEvents(pool, { limit: 1 }))[0]?.kind).toBe(`event-${COUNT - 1}`);
  expect((await listDeliveries(pool, { limit: 1 }))[0]?.deliveryId).toBe(`delivery-${COUNT - 1}`);
  const snapshots = (await listKeptSnapshots(pool, projectId)).map((row) => Number(row.id));
  expect(snapshots).toEqual([...snapshots].sort((left, right) => right - left));
});

test('captures that failed come after the goldens that are in use, however many', async () => {
  const of = { environmentId, sanitize: 'none', policyCommit: 'a', sourceCommit: 'a' };
  const golden = await insertSnapshot(pool, of);
  const later = await insertSnapshot(pool, of);
  await failSnapshot(pool, later.id, { code: 'disk-full', message: 'the disk is full', hint: null });
  const listed = await listKeptSnapshots(pool, projectId);
  expect(listed[0]?.id).toBe(golden.id);
  expect(listed.at(-1)?.id).toBe(later.id);
});

test('the newest golden of an environment is its last frozen one', async () => {
  const made = [];
  for (let n = 0; n < COUNT; n += 1) {
    made.push(
      await insertSnapshot(pool, { environmentId, sanitize: 'none', policyCommit: null, sourceCommit: null }),
    );
  }
  const frozen = {
    volumes: {},
    credentialsEncrypted: Buffer.alloc(0),
    attestation: {},
    report: null,
    sizeBytes: 1,
  };
  for (const row of made.slice(0, -1))
    await freezeSnapshot(pool, row.id, { ...frozen, capturedAt: new Date() });
  expect((await listNewestGoldens(pool)).map(({ id }) => id)).toEqual([made.at(-2)?.id]);
});
