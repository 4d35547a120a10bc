import { readFile } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { systemClock } from '@bough/domain/clock';
import type { Forge } from '@bough/forge/forge';
import { findDeliveryByForgeId, listDeliveries, receiveDelivery } from '@bough/store/deliveries';
import { writeDesired } from '@bough/store/environments';
import { findProject, findProjectByFullName } from '@bough/store/projects';
import { createTestDatabase, startTestPostgres, type TestDatabase } from '@bough/testkit/test-database';
import { createTestRedis, startTestRedis, type TestRedis } from '@bough/testkit/test-redis';
import { waitFor } from '@bough/testkit/wait-for';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createRepositoryChanges } from '../src/repository-changes.ts';
import { pullRequestEvent, secondSecret, signed, startServer, type TestServer } from './harness.ts';

let database: TestDatabase;
let redis: TestRedis;
let server: TestServer;

beforeAll(async () => {
  [database, redis] = [await createTestDatabase(), await createTestRedis()];
  server = await startServer({ databaseUrl: database.url, redisUrl: redis.url });
});

afterAll(async () => {
  await server?.close();
  await redis?.drop();
  await database?.drop();
});

const stored = (deliveryId: string) => findDeliveryByForgeId(server.pool, { forge: 'github', deliveryId });

test('a signed delivery of a project is stored, queued once, and answered 202', async () => {
  const project = await server.addProject(1);
  const answer = await server.deliver(pullRequestEvent(1), { id: 'd-1' });
  expect(answer).toEqual({ status: 202, body: { deliveryId: 'd-1', fate: 'queued' } });
  expect(await server.takeObserved()).toEqual([`${project.id}:pull/7`]);
  await waitFor('the fate', async () => (await stored('d-1'))?.fate === 'queued');
  expect(await stored('d-1')).toMatchObject({ event: 'pull_request', subjects: ['pull/7'], repositoryId: 1 });
});

test('a delivery that comes again with the same id is counted and not queued again', async () => {
  const project = await server.addProject(2);
  const first = await server.deliver(pullRequestEvent(2), { id: 'd-2' });
  await waitFor('the fate', async () => (await stored('d-2'))?.fate === 'queued');
  expect(await server.takeObserved()).toEqual([`${project.id}:pull/7`]);
  const again = await server.deliver(pullRequestEvent(2), { id: 'd-2' });
  expect([first.status, again.status]).toEqual([202, 202]);
  expect(await server.takeObserved()).toEqual([]);
  expect((await stored('d-2'))?.attempts).toBe(2);
});

test.each([
  { name: 'no signature', headers: { 'x-hub-signature-256': '' }, code: 'webhook-unsigned' },
  {
    name: 'a sha1 signature only',
    headers: { 'x-hub-signature-256': '', 'x-hub-signature': 'sha1=aa' },
    code: 'webhook-unsigned',
  },
  {
    name: 'another digest',
    headers: { 'x-hub-signature-256': `sha256=${'0'.repeat(64)}` },
    code: 'webhook-signature-wrong',
  },
  { name: 'no digest at all', headers: { 'x-hub-signature-256': 'hello' }, code: 'webhook-signature-wrong' },
])('$name: 401 with a hint, and nothing is stored', async ({ headers, code }) => {
  const answer = await server.deliver(pullRequestEvent(1), { id: 'd-401', headers });
  expect(answer).toMatchObject({
    status: 401,
    body: { error: { code, hint: expect.stringContaining('GITHUB_WEBHOOK_SECRET') } },
  });
  expect(await stored('d-401')).toBeUndefined();
});

test('the second secret counts as well, a third one does not', async () => {
  expect((await server.deliver(pullRequestEvent(1), { secret: secondSecret })).status).toBe(202);
  expect((await server.deliver(pullRequestEvent(1), { secret: 'guess' })).status).toBe(401);
  await server.takeObserved();
});

test('the signature is over the bytes: the same JSON written differently is refused', async () => {
  const { headers } = signed('{"zen": "x"}', { event: 'ping' });
  const answer = await server.app.inject({
    method: 'POST',
    url: '/webhooks/github',
    headers,
    payload: '{"zen":"x"}',
  });
  expect(answer.statusCode).toBe(401);
});

test.each([
  { name: 'no JSON', payload: 'not json', over: {} },
  { name: 'JSON that is not the event', payload: '{"action":1}', over: {} },
  { name: 'no event name', payload: '{}', over: { headers: { 'x-github-event': '' } } },
  { name: 'no delivery id', payload: '{}', over: { headers: { 'x-github-delivery': '' } } },
])('$name, well signed: 400', async ({ payload, over }) => {
  const answer = await server.app.inject({
    method: 'POST',
    url: '/webhooks/github',
    ...signed(payload, over),
  });
  expect(answer.statusCode).toBe(400);
  expect(answer.json()).toMatchObject({ error: { code: 'webhook-malformed', message: expect.any(String) } });
});

test('an event that means nothing here is 202 with a stored reason', async () => {
  const answer = await server.deliver({ action: 'created' }, { event: 'star', id: 'd-star' });
  expect(answer).toMatchObject({
    status: 202,
    body: { fate: 'ignored', reason: expect.stringContaining('star') },
  });
  expect(await stored('d-star')).toMatchObject({ fate: 'ignored', reason: expect.stringContaining('star') });
});

test('a ping is recorded', async () => {
  const ping = {
    zen: 'x',
    hook_id: 1,
    repository: { id: 77, name: 'a', full_name: 'o/a', owner: { login: 'o' } },
  };
  expect(await server.deliver(ping, { event: 'ping' })).toMatchObject({
    status: 202,
    body: { fate: 'observed' },
  });
  expect(await listDeliveries(server.pool, { repositoryId: 77 })).toMatchObject([
    { event: 'ping', fate: 'observed' },
  ]);
});

test('a repository that is no project is declined with what to do, and works once it was added', async () => {
  const answer = await server.deliver(pullRequestEvent(3), { id: 'd-3' });
  const reason = expect.stringContaining('bough project add acme/shop');
  expect(answer).toMatchObject({ status: 202, body: { fate: 'declined', reason } });
  expect(await stored('d-3')).toMatchObject({ fate: 'declined', reason });
  const project = await server.addProject(3);
  expect(await server.deliver(pullRequestEvent(3), { id: 'd-3' })).toMatchObject({
    body: { fate: 'queued' },
  });
  expect(await server.takeObserved()).toEqual([`${project.id}:pull/7`]);
});

test('a comment makes observe look at its subject, which finds the words in the delivery', async () => {
  const project = await server.addProject(4);
  const comment = {
    ...pullRequestEvent(4),
    action: 'created',
    issue: { number: 9, pull_request: { url: 'x' } },
    comment: { id: 5, body: '/bough rebuild', user: { login: 'ada', type: 'User' } },
  };
  expect(await server.deliver(comment, { event: 'issue_comment', id: 'd-4' })).toMatchObject({
    body: { fate: 'queued' },
  });
  expect(await server.takeObserved()).toEqual([`${project.id}:pull/9`]);
  expect((await stored('d-4'))?.payload).toMatchObject({
    kind: 'comment',
    body: '/bough rebuild',
    user: 'ada',
  });
});

test('an installation makes projects only of owners that are allowed', async () => {
  const install = (login: string, id: number) => ({
    action: 'created',
    installation: { id: 1, account: { login } },
    repositories: [{ id, name: 'x', full_name: `${login}/x` }],
  });
  const stranger = await server.deliver(install('Stranger', 50), { event: 'installation' });
  expect(stranger.body).toMatchObject({
    fate: 'declined',
    reason: expect.stringContaining('BOUGH_ALLOWED_OWNERS'),
  });
  const allowed = await server.deliver(install('Allowed', 51), { event: 'installation', id: 'd-install' });
  expect(allowed).toMatchObject({ status: 202, body: { fate: 'received' } });
  const isDone = async () => (await stored('d-install'))?.fate === 'observed';
  await waitFor('the project to be connected', isDone);
  expect((await stored('d-install'))?.reason).toBe('added Allowed/x');
  expect(await findProjectByFullName(server.pool, { owner: 'acme', name: 'x' })).toBeDefined();
});

test('a repository that the installation lost is served no more', async () => {
  const project = await server.addProject(52);
  const lost = {
    action: 'removed',
    installation: { id: 1, account: { login: 'acme' } },
    repositories_added: [],
    repositories_removed: [{ id: 52, name: 'x', full_name: 'acme/x' }],
  };
  await server.deliver(lost, { event: 'installation_repositories', id: 'd-lost' });
  await waitFor('the project to be removed', async () => (await stored('d-lost'))?.fate === 'observed');
  expect((await findProject(server.pool, project.id))?.state).toBe('removed');
});

test('what a crash left unfinished goes on at the next start', async () => {
  const parsed = { kind: 'repositories', added: [{ id: 53, owner: 'Allowed', name: 'left' }], removed: [] };
  const { id } = await receiveDelivery(server.pool, {
    ...{ forge: 'github', deliveryId: 'd-crash', event: 'installation', action: 'created' },
    ...{ repositoryId: null, subjects: [], payload: parsed },
  });
  const next = await startServer({ databaseUrl: database.url, redisUrl: redis.url });
  try {
    await next.app.listen({ host: '127.0.0.1', port: 0 });
    await waitFor('it to be done', async () => (await stored('d-crash'))?.fate === 'observed');
    expect((await stored('d-crash'))?.id).toBe(id);
  } finally {
    await next.close();
  }
});

test('and as soon as the store is there, when it was away at that start', async () => {
  const parsed = { kind: 'repositories', added: [{ id: 54, owner: 'Allowed', name: 'left' }], removed: [] };
  await receiveDelivery(server.pool, {
    ...{ forge: 'github', deliveryId: 'd-away', event: 'installation', action: 'created' },
    ...{ repositoryId: null, subjects: [], payload: parsed },
  });
  const isAway = [true, true];
  const query = async (text: string, values: unknown[]) => {
    if (isAway.pop() === true) throw new Error('connect ECONNREFUSED');
    return await server.pool.query(text, values);
  };
  const { resume } = createRepositoryChanges({
    pool: { query } as never,
    clock: { ...systemClock, after: (_ms, run) => systemClock.after(0, run) },
    forges: { github: { kind: 'github', host: 'github.com' } as Forge },
    isAllowedOwner: () => false,
    // No owner is allowed and nothing is a project, so nothing is connected.
    projects: {} as never,
    log: { info() {}, warn() {}, error() {} },
  });
  await resume();
  expect((await stored('d-away'))?.fate).toBe('received');
  await waitFor('it to be done', async () => (await stored('d-away'))?.fate === 'observed');
});

test('over a real connection: 202, an oversized body is 413, and the next request still works', async () => {
  const address = await server.app.listen({ host: '127.0.0.1', port: 0 });
  const send = (size: number | undefined, payload: string, headers: Record<string, string>) =>
    post(`${address}/webhooks/github`, payload, {
      ...headers,
      ...(size === undefined ? {} : { 'content-length': String(size) }),
    });
  const { payload, headers } = signed(pullRequestEvent(1));
  expect((await send(undefined, payload, headers)).status).toBe(202);
  const large = await send(30 * 1024 * 1024, '{', headers);
  expect(large).toMatchObject({ status: 413, body: { error: { code: 'request-too-large' } } });
  // A body of 20 MiB is within what GitHub may send.
  const big = signed({ ...pullRequestEvent(1), padding: 'x'.repeat(20 * 1024 * 1024) });
  expect((await send(undefined, big.payload, big.headers)).status).toBe(202);
  await server.takeObserved();
});

test('requests are counted by outcome, from zero', async () => {
  const { body } = await server.app.inject({ url: '/metrics' });
  const count = (outcome: string) =>
    Number(new RegExp(`bough_webhook_requests_total{outcome="${outcome}"[^}]*} (\\d+)`).exec(body)?.[1]);
  expect(count('busy')).toBe(0);
  for (const outcome of [
    'queued',
    'repeated',
    'unsigned',
    'signature-wrong',
    'malformed',
    'ignored',
    'declined',
    'too-large',
    'observed',
  ]) {
    expect(count(outcome), outcome).toBeGreaterThan(0);
  }
  expect(body).toContain('bough_webhook_duration_seconds_bucket');
  expect(body).toMatch(/bough_project_deliveries_total{project="shop1",fate="queued"[^}]*} [1-9]/);
  expect(body).toMatch(/bough_project_deliveries_total{project="shop1",fate="received"[^}]*} 0/);
});

test('the state of the installation is measured, and no alert names a metric that nobody has', async () => {
  const project = await server.addProject(77);
  await writeDesired(server.pool, {
    ...{
      projectId: project.id,
      installationId: 'i1',
      subject: 'pull/7',
      slug: 'pr-7--metrics',
      kind: 'preview',
    },
    ...{ facts: {}, desiredState: 'running', desiredCommit: 'c1', policyCommit: null, heldReason: 'a fork' },
    ...{ variablesRevision: '0', requestId: null },
  });
  const { body } = await server.app.inject({ url: '/metrics' });
  expect(body).toMatch(/bough_environments{kind="preview",phase="held"[^}]*} 1/);
  expect(body).toMatch(/bough_disk_free_bytes{[^}]*} [1-9]/);

  const alerts = await readFile(new URL('../../../docs/alerts.yml', import.meta.url), 'utf8');
  const named = new Set([...alerts.matchAll(/\bbough_[a-z_]+/g)].map(([name]) => name));
  expect(named.size).toBeGreaterThan(5);
  // The worker's and the gateway's are theirs to serve.
  const elsewhere = ['bough_resync_corrections_total', 'bough_gateway_visits_total'];
  for (const name of named) {
    if (!elsewhere.includes(name)) expect(body, name).toContain(`# TYPE ${name} `);
  }
});

describe('when a store is down', () => {
  test('Postgres: 503 for the delivery, for the API and for readiness, but the process is healthy', async () => {
    const postgres = await startTestPostgres();
    const own = await createTestDatabase(postgres.url);
    const lonely = await startServer({ databaseUrl: own.url, redisUrl: redis.url });
    try {
      expect((await lonely.app.inject({ url: '/readyz' })).statusCode).toBe(200);
      await lonely.addProject(1);
      await postgres.stop();
      const answer = await lonely.deliver(pullRequestEvent(1));
      expect(answer).toMatchObject({ status: 503, body: { error: { code: 'store-unavailable' } } });
      const headers = { authorization: 'Bearer a-long-enough-admin-token' };
      expect((await lonely.app.inject({ url: '/api/v1/projects', headers })).statusCode).toBe(503);
      const ready = await lonely.app.inject({ url: '/readyz' });
      expect([ready.statusCode, ready.json().checks]).toEqual([503, { database: false, queue: true }]);
      expect((await lonely.app.inject({ url: '/healthz' })).statusCode).toBe(200);
      expect(await lonely.takeObserved()).toEqual([]);
    } finally {
      await lonely.close();
      await postgres.stop();
    }
  });

  test('the queue: 202, stored as received for the sweeper; redelivered when it is back it is queued', async () => {
    const queueStore = await startTestRedis();
    const lonely = await startServer({ databaseUrl: database.url, redisUrl: queueStore.url });
    try {
      await lonely.addProject(60);
      await queueStore.stop();
      const answer = await lonely.deliver(pullRequestEvent(60), { id: 'd-60' });
      expect(answer).toMatchObject({ status: 202, body: { fate: 'received', reason: expect.any(String) } });
      expect(await stored('d-60')).toMatchObject({ fate: 'received', settledAt: null });
      const ready = await lonely.app.inject({ url: '/readyz' });
      expect([ready.statusCode, ready.json().checks]).toEqual([503, { database: true, queue: false }]);
      expect(await server.deliver(pullRequestEvent(60), { id: 'd-60' })).toMatchObject({
        body: { fate: 'queued' },
      });
      expect(await server.takeObserved()).toHaveLength(1);
    } finally {
      await lonely.close();
    }
  });
});

/** Node's fetch does not let a test lie about the length. */
function post(
  url: string,
  payload: string,
  headers: Record<string, string>,
): Promise<{ status: number; body: unknown }> {
  return new Promise((resolve, reject) => {
    const sent = httpRequest(url, { method: 'POST', headers, timeout: 10_000 }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      answer.on('end', () => {
        sent.destroy();
        resolve({ status: answer.statusCode ?? 0, body: JSON.parse(text) });
      });
    });
    sent.on('error', reject);
    sent.write(payload);
    if (!('content-length' in headers)) sent.end();
  });
}
