import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createOutput } from '@bough/cli/output';
import { createVerbContext } from '@bough/cli/verb';
import { dataVerbs } from '@bough/cli/verbs/data';
import { Secret } from '@bough/domain/secret';
import { canonicalDigest } from '@bough/manifest/canonical-json';
import { attest } from '@bough/reconcile/data/attestation';
import { rememberAttestationKey } from '@bough/store/attestation-keys';
import type { Project } from '@bough/store/projects';
import { freezeSnapshot, insertSnapshot } from '@bough/store/snapshots';
import { createTestDatabase, type TestDatabase } from '@bough/testkit/test-database';
import { createTestRedis, type TestRedis } from '@bough/testkit/test-redis';
import { Command } from 'commander';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { attestationKeys, bearer, startServer, type TestServer, token } from './harness.ts';

// The signed report of a golden over the API, on its page, and as the command line verifies it.

let database: TestDatabase;
let redis: TestRedis;
let server: TestServer;
let project: Project;
let goldenId: string;
let folder: string;

const counts = { databases: 1, tables: 2, columns: 9, columnsMasked: 3, rows: 700, referencesChecked: 1 };
const report = {
  project: 'shop',
  why: 'ada <b> asked for it',
  policy: { commit: 'a'.repeat(40), sanitize: 'rules', digest: 'd'.repeat(64), sanitizerVersion: 2 },
  sourceCommit: 'b'.repeat(40),
  storage: 'btrfs',
  capturedAt: '2026-01-02T03:04:05.000Z',
  finishedAt: '2026-01-02T03:05:05.000Z',
  services: {
    database: {
      schemaDigest: 'e'.repeat(64),
      filesDigest: 'f'.repeat(64),
      engine: { type: 'postgresql:17', version: '17.2', digest: '0'.repeat(64) },
      counts,
      canaries: { planted: 6, columns: 3, tablesWithout: 0, found: 0 },
      samples: { taken: 90, found: 0 },
      detectors: {
        email: { allowedColumns: 1, allowedRows: 7 },
        card: { allowedColumns: 0, allowedRows: 0 },
      },
      scanned: { columns: 9, rows: 700 },
      byteScan: { files: 950, bytes: 40_000_000, hits: 0 },
      decisions: [{ where: 'customers.email', rule: 'email' }],
      decisionsLeftOut: 0,
    },
  },
  mounts: ['web:uploads'],
};

beforeAll(async () => {
  [database, redis] = [await createTestDatabase(), await createTestRedis()];
  server = await startServer({ databaseUrl: database.url, redisUrl: redis.url });
  project = await server.addProject(1, 'shop');
  const { pool, encryption } = server;
  await rememberAttestationKey(pool, attestationKeys.current.public);
  const row = await insertSnapshot(pool, {
    ...{ environmentId: null, projectId: project.id, sanitize: 'd'.repeat(64), policyCommit: null },
    sourceCommit: null,
  });
  goldenId = row.id;
  const facts = { snapshotId: goldenId, projectId: project.id, report: canonicalDigest(report) };
  await freezeSnapshot(pool, goldenId, {
    ...{
      volumes: {},
      sizeBytes: 1,
      capturedAt: new Date(),
      attestation: attest(attestationKeys, facts),
      report,
    },
    credentialsEncrypted: encryption.encrypt(new Secret('{}'), `snapshot:${goldenId}`),
  });
  folder = await mkdtemp(join(tmpdir(), 'bough-report-'));
});

afterAll(async () => {
  await server?.close();
  await redis?.drop();
  await database?.drop();
  await rm(folder, { recursive: true, force: true });
});

async function get(path: string) {
  const answer = await server.app.inject({ url: `/api/v1${path}`, headers: bearer });
  return { status: answer.statusCode, body: answer.json() };
}

/** `bough data report …`: what it prints, and how it ends. */
async function bough(...words: string[]): Promise<{ text: string; exitCode: unknown }> {
  const url = await server.app.listen({ host: '127.0.0.1', port: 0 }).catch(() => listening());
  const written: string[] = [];
  const output = createOutput({ json: words.includes('--json'), write: (text) => written.push(text) });
  const config = { home: folder, url, token, user: 'ada' };
  const program = new Command().exitOverride();
  dataVerbs(program, createVerbContext(config as never, output));
  const before = process.exitCode;
  process.exitCode = 0;
  try {
    await program.parseAsync(['data', 'report', ...words.filter((word) => word !== '--json')], {
      from: 'user',
    });
    return { text: written.join(''), exitCode: process.exitCode };
  } finally {
    process.exitCode = before;
  }
}

function listening(): string {
  const at = server.app.server.address();
  return typeof at === 'object' && at !== null ? `http://127.0.0.1:${at.port}` : '';
}

/** Runs `work` with a row that somebody changed. */
async function tampered(change: string, work: () => Promise<void>): Promise<void> {
  const { rows } = await server.pool.query('select attestation, report from snapshots where id = $1', [
    goldenId,
  ]);
  await server.pool.query(`update snapshots set ${change} where id = $1`, [goldenId]);
  try {
    await work();
  } finally {
    await server.pool.query('update snapshots set attestation = $2, report = $3 where id = $1', [
      ...[goldenId, JSON.stringify(rows[0]?.attestation), JSON.stringify(rows[0]?.report)],
    ]);
  }
}

test('the API gives the report with its signature and the key', async () => {
  const { status, body } = await get('/projects/shop/data/report');
  expect(status).toBe(200);
  expect(body).toMatchObject({
    ...{ goldenId, state: 'frozen', fault: null, report },
    ...{
      attestation: { keyId: attestationKeys.current.public.id },
      publicKey: attestationKeys.current.public.pem,
    },
  });
  expect((await get(`/projects/shop/data/report?golden=${goldenId}`)).body).toEqual(body);
  expect((await get('/attestation-keys')).body).toEqual({
    keys: [
      {
        id: attestationKeys.current.public.id,
        publicKey: attestationKeys.current.public.pem,
        retiredAt: null,
      },
    ],
  });
  const other = await server.addProject(2, 'other');
  for (const path of [
    `/projects/${other.slug}/data/report`,
    `/projects/${other.slug}/data/report?golden=${goldenId}`,
    '/projects/shop/data/report?golden=999999',
  ])
    expect(await get(path)).toMatchObject({ status: 404, body: { error: { code: 'not-found' } } });
});

test('the page behind the comment shows it to whoever logged in', async () => {
  const url = `/goldens/${goldenId}`;
  expect((await server.app.inject({ url })).headers.location).toBe(`/login?next=${encodeURIComponent(url)}`);
  const login = await server.app.inject({
    ...{ method: 'POST', url: '/login', payload: new URLSearchParams({ token }).toString() },
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
  });
  const headers = { cookie: String(login.headers['set-cookie']).split(';')[0] ?? '' };
  const shown = await server.app.inject({ url, headers });
  expect(shown.statusCode).toBe(200);
  expect(shown.body).toContain('signature valid');
  expect(shown.body).toContain('ada &#60;b&#62; asked for it');
  expect(shown.body).toContain('6 planted in 3 columns, 0 found after masking');
  expect(shown.body).toContain('customers.email');
  await tampered(`report = jsonb_set(report, '{services,database,canaries,planted}', '600')`, async () => {
    const changed = await server.app.inject({ url, headers });
    expect(changed.body).not.toContain('signature valid');
    expect(changed.body).toContain('the report is not the one that was signed');
  });
  expect((await server.app.inject({ url: '/goldens/999999', headers })).statusCode).toBe(404);
});

test('the command line verifies it itself, also where there is no Bough', async () => {
  const verified = await bough('shop', '--verify');
  expect(verified.text).toContain('verified    yes');
  expect(verified.text).toContain('6 planted, 0 found');
  expect(verified.exitCode).toBe(0);
  const kept = join(folder, 'report.json');
  const key = join(folder, 'key.pem');
  await writeFile(kept, (await bough('shop', '--json')).text);
  await writeFile(key, attestationKeys.current.public.pem);
  expect(await bough('--file', kept, '--key', key)).toMatchObject({ exitCode: 0 });
  for (const change of [
    `report = jsonb_set(report, '{policy,commit}', '"other"')`,
    `attestation = jsonb_set(attestation, '{facts,report}', '"other"')`,
  ])
    await tampered(change, async () => {
      const { text, exitCode } = await bough('shop', '--verify');
      expect(text).toContain('verified    NO');
      expect(exitCode).toBe(3);
    });
  const text = (await bough('shop', '--json')).text.replace('"rows": 700', '"rows": 701');
  await writeFile(kept, text);
  expect(await bough('--file', kept, '--key', key)).toMatchObject({ exitCode: 3 });
  await writeFile(key, 'no key');
  await expect(bough('--file', kept, '--key', key)).rejects.toMatchObject({ code: 'usage' });
  await expect(bough()).rejects.toMatchObject({ code: 'usage' });
});
