import { appendFile, mkdir, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { readAccess } from '@bough/domain/access-link';
import { ACCESS_CREDENTIAL } from '@bough/domain/preview-access';
import { Secret } from '@bough/domain/secret';
import type { Engine, Workload } from '@bough/engine/engine';
import { recordBudget } from '@bough/store/budgets';
import { ensureCredential } from '@bough/store/credentials';
import { closeDeployment, openDeployment } from '@bough/store/deployments';
import { type Fence, takeLease, writeDesired, writeFailure } from '@bough/store/environments';
import { appendEvent, listEvents } from '@bough/store/events';
import type { Project } from '@bough/store/projects';
import { openRequests } from '@bough/store/requests';
import { replaceRoutes } from '@bough/store/routes';
import { finishStep, startStep } from '@bough/store/steps';
import { readVariables } from '@bough/store/variables';
import { createTestDatabase, type TestDatabase } from '@bough/testkit/test-database';
import { createTestRedis, type TestRedis } from '@bough/testkit/test-redis';
import { waitFor } from '@bough/testkit/wait-for';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { stepLogFile } from '../src/step-log.ts';
import { bearer, pullRequestEvent, startServer, type TestServer, token } from './harness.ts';

let database: TestDatabase;
let redis: TestRedis;
let server: TestServer;
let project: Project;
let slug: string;
let environmentId: string;
let counter = 100;

beforeAll(async () => {
  [database, redis] = [await createTestDatabase(), await createTestRedis()];
  server = await startServer({ databaseUrl: database.url, redisUrl: redis.url }, { engine: talkingEngine() });
});

afterAll(async () => {
  await server?.close();
  await redis?.drop();
  await database?.drop();
});

beforeEach(async () => {
  counter += 1;
  project = await server.addProject(counter);
  slug = `pr-7--${project.slug}`;
  const { environment } = await writeDesired(server.pool, {
    projectId: project.id,
    installationId: project.installationId,
    subject: 'pull/7',
    slug,
    kind: 'preview',
    facts: { title: 'Add <b>bold</b>', author: 'ada', number: 7, url: 'javascript:alert(1)' },
    desiredState: 'running',
    desiredCommit: 'a'.repeat(40),
    policyCommit: null,
    heldReason: null,
    variablesRevision: '0',
    requestId: null,
  });
  environmentId = environment.id;
});

interface ValidatorModule {
  default: new (options: { version: number }) => { validate(document: unknown): { errors: unknown[] } };
}

type Method = 'GET' | 'POST' | 'PUT' | 'DELETE';

async function api(method: Method, path: string, body?: object) {
  const answer = await server.app.inject({
    method,
    url: `/api/v1${path}`,
    headers: bearer,
    ...(body === undefined ? {} : { payload: body }),
  });
  return { status: answer.statusCode, body: answer.body === '' ? null : answer.json() };
}

let fence: Fence;

/** A deployment whose step `build` failed, as a worker writes it. */
async function deploy(): Promise<string> {
  const lease = (await takeLease(server.pool, environmentId)) ?? '';
  fence = { environmentId, generation: '1', lease };
  const { id } = await openDeployment(server.pool, fence, 'a'.repeat(40));
  await startStep(server.pool, fence, { deploymentId: id, ordinal: 1, name: 'checkout' });
  await finishStep(server.pool, fence, { deploymentId: id, name: 'checkout', state: 'done' });
  await startStep(server.pool, fence, { deploymentId: id, ordinal: 2, name: 'build' });
  return id;
}

async function writeLog(deploymentId: string, name: string, text: string): Promise<string> {
  const file = stepLogFile(server.logsDir, { deploymentId, name });
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, text);
  return file;
}

test.each([
  { name: 'no token', headers: {} },
  { name: 'a wrong token', headers: { authorization: 'Bearer wrong' } },
  { name: 'the token in another scheme', headers: { authorization: `Basic ${token}` } },
  { name: 'a made-up session', headers: { cookie: `bough_session=${Date.now() + 10_000}.aaaa` } },
])('$name: 401 with a hint', async ({ headers }) => {
  const answer = await server.app.inject({ url: '/api/v1/projects', headers });
  expect(answer.statusCode).toBe(401);
  expect(answer.json()).toMatchObject({
    error: { code: 'unauthorized', hint: expect.stringContaining('BOUGH_ADMIN_TOKEN') },
  });
});

test('every path of the API but its description needs the token', async () => {
  const { paths } = (await server.app.inject({ url: '/api/v1/openapi.json' })).json();
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods as object).map((method) => ({ path, method })),
  );
  expect(operations.length).toBeGreaterThan(18);
  for (const { path, method } of operations) {
    const url = path.replace(/\{[^}]+\}/g, '1');
    const answer = await server.app.inject({ method: method.toUpperCase() as Method, url });
    expect(answer.statusCode, `${method} ${path}`).toBe(401);
  }
});

test('the OpenAPI document is valid, and made of the schemas that check the requests', async () => {
  const document = (await server.app.inject({ url: '/api/v1/openapi.json' })).json();
  // A CommonJS module, whose default export Node and vitest see differently when it is imported.
  const { default: Validator } = createRequire(import.meta.url)(
    'openapi-schema-validator',
  ) as unknown as ValidatorModule;
  expect(new Validator({ version: 3 }).validate(document).errors).toEqual([]);
  const put = document.paths['/api/v1/projects/{project}/variables/{name}'].put;
  expect(put.requestBody.content['application/json'].schema.required).toEqual(['value']);
});

test('unknown paths and malformed ones answer in the same shape', async () => {
  for (const url of ['/nothing', '/api/v1/nothing', '/%zz', '/webhooks/gitlab']) {
    const answer = await server.app.inject({ url, headers: bearer });
    expect([404, 400]).toContain(answer.statusCode);
    expect(answer.json(), url).toMatchObject({
      error: { code: expect.any(String), message: expect.any(String) },
    });
  }
});

test('a request that does not fit says where', async () => {
  const answer = await api('POST', '/projects', { repository: 'no slash' });
  expect(answer).toMatchObject({
    status: 400,
    body: {
      error: {
        code: 'request-malformed',
        place: 'body.repository',
        message: expect.stringContaining('owner/name'),
      },
    },
  });
  const action = await api('POST', `/environments/${slug}/actions`, { kind: 'explode' });
  expect(action).toMatchObject({ status: 400, body: { error: { place: 'body.kind' } } });
  const huge = await api('PUT', `/projects/${project.slug}/variables/A`, { value: 'x'.repeat(300_000) });
  expect(huge).toMatchObject({ status: 413 });
});

test('projects: connected, listed, found by name, removed', async () => {
  const connected = await api('POST', '/projects', { repository: 'acme/connected' });
  expect(connected).toMatchObject({ status: 201, body: { repository: 'acme/connected', state: 'active' } });
  const found = await api('GET', '/projects?repository=acme/connected');
  expect(found.body.projects).toHaveLength(1);
  expect((await api('GET', '/projects')).body.projects.length).toBeGreaterThan(1);
  const removed = await api('DELETE', `/projects/${connected.body.slug}`);
  expect(removed).toMatchObject({ status: 202, body: { state: 'removed' } });
  expect((await api('GET', '/projects?repository=acme/connected')).body.projects).toEqual([]);
  expect(await api('GET', '/projects/none')).toMatchObject({
    status: 404,
    body: { error: { hint: expect.any(String) } },
  });
  await server.takeObserved();
});

test('an environment is found by slug and by id, with routes and the way in', async () => {
  await replaceRoutes(server.pool, { environmentId, lease: '0' }, [
    {
      host: `${slug}.localhost`,
      path: '/',
      deploymentId: null,
      route: 'https://{default}/',
      state: 'serving',
      target: { host: '127.0.0.1', port: 4000 },
      redirect: null,
      access: { kind: 'basic', username: 'preview', passwordHash: 'ab' },
      indexable: false,
      isPrimary: true,
    },
  ]);
  const name = ACCESS_CREDENTIAL;
  await ensureCredential(
    server.pool,
    server.encryption,
    { environmentId, name },
    () => new Secret('generated'),
  );
  const bySlug = await api('GET', `/environments/${slug}`);
  expect(bySlug).toMatchObject({
    status: 200,
    body: {
      id: environmentId,
      phase: 'queued',
      routes: [{ url: `http://${slug}.localhost:8080/`, access: 'basic', state: 'serving' }],
      access: { username: 'preview', password: 'generated' },
      deployment: null,
    },
  });
  expect((await api('GET', `/environments/${environmentId}`)).body).toEqual(bySlug.body);
  const listed = await api('GET', `/environments?project=${project.slug}&phase=queued`);
  expect(listed.body.environments.map((found: { slug: string }) => found.slug)).toEqual([slug]);
  expect((await api('GET', `/environments?project=${project.slug}&phase=ready`)).body.environments).toEqual(
    [],
  );
});

test('links are signed for one environment and can all be revoked', async () => {
  const path = `/environments/${slug}/links`;
  expect((await api('POST', path)).body.error).toMatchObject({ code: 'not-by-link' });
  const shared = {
    deploymentId: null,
    state: 'serving',
    target: null,
    redirect: null,
    indexable: false,
  } as const;
  const access = { kind: 'link', epoch: 0 } as const;
  await replaceRoutes(server.pool, { environmentId, lease: '0' }, [
    {
      ...shared,
      access,
      host: `api--${slug}.localhost`,
      path: '/',
      route: 'https://api.{default}/',
      isPrimary: false,
    },
    { ...shared, access, host: `${slug}.localhost`, path: '/', route: 'https://{default}/', isPrimary: true },
  ]);
  expect((await api('POST', path, { expires: '31d' })).body.error).toMatchObject({ code: 'bad-duration' });
  const made = await api('POST', path, { expires: '1h', askedBy: 'ada' });
  expect(made.status).toBe(201);
  const [first, second] = made.body.links as { url: string; primary: boolean }[];
  expect([first?.primary, second?.primary]).toEqual([true, false]);
  const url = new URL(first?.url ?? '');
  expect(`${url.host}${url.pathname}`).toBe(`${slug}.localhost:8080/`);
  const token = url.searchParams.get('bough_link') ?? '';
  const worth = (epoch: number, now = new Date()) =>
    readAccess(new Secret('link key'), 'link', { environmentId, epoch }, token, now).kind;
  expect([worth(0), worth(1), worth(0, new Date(Date.now() + 3_601_000))]).toEqual([
    'valid',
    'wrong',
    'expired',
  ]);
  expect((await api('DELETE', `${path}?askedBy=ada`)).body).toEqual({ revoked: true });
  const [anew] = (await api('POST', path)).body.links as { url: string }[];
  const next = new URL(anew?.url ?? '').searchParams.get('bough_link') ?? '';
  expect(readAccess(new Secret('link key'), 'link', { environmentId, epoch: 1 }, next, new Date()).kind).toBe(
    'valid',
  );
  const kinds = (await listEvents(server.pool, { environmentId })).map(
    ({ kind, actor }) => `${kind} ${actor}`,
  );
  expect(kinds.slice(0, 3)).toEqual(['links.made admin', 'links.revoked ada', 'links.made ada']);
});

test('deployments with their steps, and a log as text', async () => {
  const id = await deploy();
  await writeLog(id, 'build', 'one\ntwo\n');
  const listed = await api('GET', `/environments/${slug}/deployments`);
  expect(listed.body.deployments).toMatchObject([{ id, state: 'running', commit: 'a'.repeat(40) }]);
  const detail = await api('GET', `/deployments/${id}`);
  expect(detail.body.steps).toMatchObject([
    { name: 'checkout', state: 'done' },
    { name: 'build', state: 'running' },
  ]);
  const log = await server.app.inject({ url: `/api/v1/deployments/${id}/steps/build/log`, headers: bearer });
  expect([log.statusCode, log.headers['content-type'], log.body]).toEqual([
    200,
    'text/plain; charset=utf-8',
    'one\ntwo\n',
  ]);
  const empty = await server.app.inject({
    url: `/api/v1/deployments/${id}/steps/checkout/log`,
    headers: bearer,
  });
  expect([empty.statusCode, empty.body]).toEqual([200, '']);
  const none = await api('GET', `/deployments/${id}/steps/${encodeURIComponent('../../../etc/passwd')}/log`);
  expect(none).toMatchObject({ status: 404, body: { error: { hint: 'Its steps: checkout, build.' } } });
  expect((await api('GET', '/deployments/99999999999999999999')).status).toBe(404);
});

test('a log is followed over a real connection until its step ends', async () => {
  const id = await deploy();
  const file = await writeLog(id, 'build', 'first\n');
  const address = await listening();
  const answer = await fetch(`${address}/api/v1/deployments/${id}/steps/build/stream`, { headers: bearer });
  expect(answer.headers.get('content-type')).toContain('text/event-stream');
  let text = '';
  const reading = (async () => {
    for await (const chunk of answer.body ?? []) text += Buffer.from(chunk).toString();
  })();
  await waitFor('the first line', () => text.includes('data: first\n\n'));
  await appendFile(file, 'sec');
  await appendFile(file, 'ond\nlast without newline');
  await waitFor('the second line', () => text.includes('data: second\n\n'));
  expect(text).not.toContain('event: end');
  await finishStep(server.pool, fence, { deploymentId: id, name: 'build', state: 'done' });
  await reading;
  expect(text).toContain('data: last without newline\n\nevent: end\n');
});

test("a workload's logs, and its stream, which ends with the reader", async () => {
  const text = await server.app.inject({ url: `/api/v1/environments/${slug}/logs`, headers: bearer });
  expect(text.body).toBe('hello from web\n');
  expect(await api('GET', `/environments/${slug}/logs?workload=none`)).toMatchObject({
    status: 404,
    body: { error: { hint: 'There are: shop, database.' } },
  });
  expect((await api('GET', `/environments/${slug}/workloads`)).body.workloads).toHaveLength(2);
  const address = await listening();
  const controller = new AbortController();
  const url = `${address}/api/v1/environments/${slug}/logs?workload=database&follow=true`;
  const answer = await fetch(url, { headers: bearer, signal: controller.signal });
  const reader = answer.body?.getReader();
  await reader?.read();
  expect(following).toBe(1);
  controller.abort();
  await waitFor('the engine to be left alone', () => following === 0);
});

test('an action is a stored request, and a look', async () => {
  await server.takeObserved();
  const answer = await api('POST', `/environments/${slug}/actions`, { kind: 'redeploy', askedBy: 'ada' });
  expect(answer).toMatchObject({ status: 202, body: { queued: true } });
  expect(await server.takeObserved()).toEqual([`${project.id}:pull/7`]);
  const [request] = await openRequests(server.pool, { projectId: project.id, subject: 'pull/7' });
  expect(request).toMatchObject({ id: answer.body.requestId, kind: 'redeploy', askedBy: 'ada' });
  const open = await api('POST', `/projects/${project.slug}/actions`, {
    kind: 'open',
    subject: 'branch/feature/x',
  });
  expect(open.status).toBe(202);
  expect(await server.takeObserved()).toEqual([`${project.id}:branch/feature/x`]);
  expect(
    (await api('POST', `/projects/${project.slug}/actions`, { kind: 'open', subject: 'x' })).status,
  ).toBe(400);
});

test('why: the failure, what was asked for, what came in, what happened', async () => {
  await server.deliver(pullRequestEvent(counter));
  const lease = (await takeLease(server.pool, environmentId)) ?? '';
  const failure = {
    code: 'build-failed',
    message: 'The build hook failed.',
    hint: 'Look.',
    tail: ['npm ERR!'],
  };
  await writeFailure(server.pool, { environmentId, generation: '1', lease }, failure, null);
  await appendEvent(server.pool, {
    projectId: project.id,
    environmentId,
    actor: 'bough',
    kind: 'deployment-failed',
  });
  const why = await api('GET', `/environments/${slug}/why`);
  expect(why.body).toMatchObject({
    phase: 'failed',
    failure,
    deliveries: [{ event: 'pull_request', subjects: ['pull/7'] }],
    events: [{ kind: 'deployment-failed' }],
  });
  const absent = await api('GET', `/projects/${project.slug}/why?subject=pull/8`);
  expect(absent.body).toMatchObject({ phase: null, deliveries: [], events: [] });
  await server.takeObserved();
});

test('variables are set and deleted by name, never read, and make observe look', async () => {
  await server.takeObserved();
  const path = `/projects/${project.slug}/variables`;
  const body = { value: 's3cret', production: true, preview: true };
  expect((await api('PUT', `${path}/API_KEY`, body)).status).toBe(204);
  expect(await server.takeObserved()).toEqual([`${project.id}:production`, `${project.id}:pull/7`]);
  const listed = await api('GET', path);
  expect(listed.body.variables).toMatchObject([{ name: 'API_KEY', secret: true, run: true, build: false }]);
  expect(JSON.stringify(listed.body)).not.toContain('s3cret');
  const of = { projectId: project.id, at: 'run', kind: 'preview' } as const;
  const [stored] = await readVariables(server.pool, server.encryption, of);
  expect(stored?.value.reveal()).toBe('s3cret');
  expect((await api('PUT', `${path}/BAD-NAME`, body)).status).toBe(400);
  expect((await api('PUT', `${path}/NOBODY`, { value: 'x' })).status).toBe(400);
  expect((await api('DELETE', `${path}/API_KEY`)).status).toBe(204);
  expect((await api('DELETE', `${path}/API_KEY`)).status).toBe(404);
  const { events } = (await api('GET', `/events?project=${project.slug}&limit=2`)).body;
  expect(events).toMatchObject([
    { kind: 'variable.removed', actor: 'admin', detail: { name: 'API_KEY' } },
    { kind: 'variable.set', detail: { name: 'API_KEY', production: true } },
  ]);
  expect(JSON.stringify(events)).not.toContain('s3cret');
  await server.takeObserved();
});

test('deliveries are listed and replayed', async () => {
  await server.deliver(pullRequestEvent(counter), { id: `replay-${counter}` });
  expect(await server.takeObserved()).toHaveLength(1);
  const listed = await api('GET', `/deliveries?project=${project.slug}`);
  const [delivery] = listed.body.deliveries;
  expect(delivery).toMatchObject({ deliveryId: `replay-${counter}`, subjects: ['pull/7'] });
  expect((await api('GET', `/deliveries/${delivery.id}`)).body.payload).toMatchObject({ kind: 'subjects' });
  const replayed = await api('POST', `/deliveries/${delivery.id}/replay`);
  expect(replayed).toMatchObject({ status: 202, body: { fate: 'queued' } });
  expect(await server.takeObserved()).toEqual([`${project.id}:pull/7`]);
  expect((await api('POST', '/deliveries/999999/replay')).status).toBe(404);
  expect((await api('GET', '/deliveries?before=x')).status).toBe(400);
});

test('status counts', async () => {
  const { status, body } = await api('GET', '/status');
  expect(status).toBe(200);
  expect(body).toMatchObject({
    version: '0.1.0',
    queue: { observe: { waiting: 0 } },
    unsettledDeliveries: 0,
  });
  expect(body.environments.queued).toBeGreaterThan(0);
});

test('the page of an environment asks for a login, then shows phase, steps, failure and logs, escaped', async () => {
  const id = await deploy();
  await writeLog(id, 'build', 'npm ERR! <script>alert(1)</script>\n');
  const failure = {
    code: 'build-failed',
    message: 'The build hook failed.',
    hint: 'Run it locally.',
    tail: [],
  };
  await finishStep(server.pool, fence, { deploymentId: id, name: 'build', state: 'failed' });
  await closeDeployment(server.pool, fence, id, { state: 'failed', failure });
  const asked = await server.app.inject({ url: `/environments/${slug}` });
  expect(asked.statusCode).toBe(303);
  const loginUrl = String(asked.headers.location);
  expect((await server.app.inject({ url: loginUrl })).body).toContain(`value="/environments/${slug}"`);
  const wrong = await login('wrong');
  expect([wrong.statusCode, wrong.headers['set-cookie']]).toEqual([401, undefined]);
  const right = await login(token);
  expect([right.statusCode, right.headers.location]).toEqual([303, `/environments/${slug}`]);
  const cookie = String(right.headers['set-cookie']);
  expect(cookie).toMatch(/HttpOnly; SameSite=Lax/);
  expect(cookie).not.toContain(token);
  const session = { cookie: cookie.split(';')[0] ?? '' };
  const shown = await server.app.inject({ url: `/environments/${slug}`, headers: session });
  expect(shown.statusCode).toBe(200);
  expect(shown.body).toContain('The build hook failed.');
  expect(shown.body).toContain('npm ERR! &#60;script&#62;');
  expect(shown.body).toContain('Add &#60;b&#62;bold');
  expect(shown.body).not.toContain('javascript:');
  expect(shown.headers['content-security-policy']).toContain("default-src 'none'");
  expect((await server.app.inject({ url: '/environments/none', headers: session })).statusCode).toBe(404);
  // The session reads logs through the API, and changes nothing for other sites.
  const url = `/api/v1/deployments/${id}/steps/build/log`;
  expect((await server.app.inject({ url, headers: session })).statusCode).toBe(200);
  const action = {
    method: 'POST',
    url: `/api/v1/environments/${slug}/actions`,
    payload: { kind: 'delete' },
  } as const;
  const elsewhere = { ...session, origin: 'https://evil.example', host: 'bough.test' };
  expect((await server.app.inject({ ...action, headers: elsewhere })).statusCode).toBe(401);
  const ownPage = { ...session, origin: 'http://bough.test', host: 'bough.test' };
  expect((await server.app.inject({ ...action, headers: ownPage })).statusCode).toBe(202);
  await server.takeObserved();
});

test('a login leads to our own pages only', async () => {
  for (const next of ['https://evil.example/', '//evil.example', '/\\evil.example']) {
    expect((await login(token, next)).headers.location).toBe('/api/v1/status');
  }
});

function login(text: string, next = `/environments/${slug}`) {
  return server.app.inject({
    method: 'POST',
    url: '/login',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    payload: new URLSearchParams({ token: text, next }).toString(),
  });
}

let address: string | undefined;
async function listening(): Promise<string> {
  address ??= await server.app.listen({ host: '127.0.0.1', port: 0 });
  return address;
}

let following = 0;

/** An engine as the server sees it: two workloads, one that has spoken and one that is silent for ever. */
function talkingEngine(): Pick<Engine, 'list' | 'logs'> {
  const workload = (name: string, role: 'web' | 'service'): Workload => ({
    id: `w-${name}`,
    labels: { installationId: 'i', environmentId, role, name },
    state: 'running',
    restarts: 0,
    specDigest: 'x',
  });
  return {
    list: async () => [workload('shop', 'web'), workload('database', 'service')],
    async *logs(id, { signal, follow }) {
      yield `hello from ${id === 'w-shop' ? 'web' : id}`;
      if (!follow) return;
      following += 1;
      await new Promise((resolve) => signal?.addEventListener('abort', resolve));
      following -= 1;
    },
  };
}

test('branches: listed apart, removed by name, and no other request takes their place', async () => {
  const path = `/projects/${project.id}/branches`;
  const { environment } = await writeDesired(server.pool, {
    ...{
      projectId: project.id,
      installationId: project.installationId,
      subject: 'branch/bug',
      kind: 'preview',
    },
    ...{ slug: `bug--${project.slug}`, facts: {}, desiredState: 'running', desiredCommit: 'b'.repeat(40) },
    ...{ policyCommit: null, heldReason: null, variablesRevision: '0', requestId: null },
    branchOf: { from: 'production', data: 'none', snapshotId: null },
    expiresAt: new Date('2026-12-01T00:00:00Z'),
  });
  const listed = await api('GET', path);
  expect(listed.body.branches).toMatchObject([
    { id: environment.id, branchOf: { from: 'production' }, expiresAt: '2026-12-01T00:00:00.000Z' },
  ]);
  const open = { kind: 'open', subject: 'branch/bug' };
  expect(await api('POST', `/projects/${project.id}/actions`, open)).toMatchObject({ status: 409 });
  const order = { branchOf: environment.branchOf, commit: 'c'.repeat(40), expiresAt: '2026-12-01T00:00:00Z' };
  const smuggled = { kind: 'open', subject: 'branch/raw', argument: JSON.stringify(order) };
  expect(await api('POST', `/projects/${project.id}/actions`, smuggled)).toMatchObject({ status: 400 });
  expect(await api('POST', path, { name: 'Bug' })).toMatchObject({
    status: 422,
    body: { error: { code: 'branch-name' } },
  });
  expect(await api('POST', path, { name: 'bug', expires: 'soon' })).toMatchObject({ status: 400 });
  expect(await api('DELETE', `${path}/other`)).toMatchObject({ status: 404 });
  expect(await api('DELETE', `${path}/bug?askedBy=ada`)).toMatchObject({ status: 202 });
  const asked = await openRequests(server.pool, { projectId: project.id, subject: 'branch/bug' });
  expect(asked).toMatchObject([{ kind: 'delete', askedBy: 'ada' }]);
});

test('shows what is kept and its budgets, as a table and as metrics, and asks the worker to prune', async () => {
  const measured = { budgetBytes: 100, usedBytes: 80, pinnedBytes: 30, items: 2, failure: null };
  for (const prunedBytes of [0, 5, 7])
    await recordBudget(server.pool, {
      ...{ kind: 'caches' as const, ...measured, prunedBytes },
      prunedItems: prunedBytes === 0 ? 0 : 1,
    });
  const answer = await server.app.inject({ url: '/api/v1/storage/budgets', headers: bearer });
  expect(answer.json()).toEqual({
    budgets: [
      {
        ...{ kind: 'caches', ...measured, prunedItems: 2, prunedBytes: 12 },
        measuredAt: expect.stringMatching(/^\d{4}-/),
        prunedAt: expect.stringMatching(/^\d{4}-/),
      },
    ],
  });
  const { body } = await server.app.inject({ url: '/metrics' });
  expect(body).toMatch(/bough_kept_bytes\{.*kind="caches".*\} 80/);
  expect(body).toMatch(/bough_pruned_bytes\{.*kind="caches".*\} 12/);

  const before = (await server.queues.counts()).resync.waiting;
  const url = '/api/v1/storage/prune';
  const asked = await server.app.inject({
    method: 'POST',
    url,
    headers: bearer,
    payload: { askedBy: 'ada' },
  });
  expect([asked.statusCode, asked.json()]).toEqual([202, { queued: true }]);
  expect((await server.queues.counts()).resync.waiting).toBe(before + 1);
  const [event] = (
    await server.pool.query<{ actor: string }>(`select actor from events where kind = 'storage.prune-asked'`)
  ).rows;
  expect(event).toEqual({ actor: 'ada' });
});
