import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Secret } from '@bough/domain/secret';
import { waitFor } from '@bough/testkit/wait-for';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { ForgeError } from '../src/forge-error.ts';
import { createGitHubForge } from '../src/github/forge.ts';
import { HOOK_SECRET, type SandboxFixture, startSandboxFixture } from './sandbox-fixture.ts';

let fixture: SandboxFixture;
let number: number;
beforeAll(async () => {
  fixture = await startSandboxFixture('token');
  await fixture.push('x', { 'x.txt': 'x\n' });
  number = await fixture.openPullRequest('x');
});
afterAll(() => fixture?.close());
beforeEach(() => {
  fixture.sandbox.apiCalls.length = 0;
});
afterEach(() => fixture.sandbox.faults.clear());

async function failure(work: Promise<unknown>): Promise<ForgeError> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof ForgeError) return error;
  throw new Error(`expected a ForgeError, got ${String(error)}`);
}

const read = () => fixture.forge.readPullRequest(fixture.repository, number);
const callsOf = (method: string) => fixture.sandbox.apiCalls.filter((call) => call.method === method).length;

it('tries a read again after a broken answer, and gives up after three', async () => {
  fixture.sandbox.faults.set({ match: 'GET *', status: 502, times: 2 });
  expect(await read()).toMatchObject({ number });
  expect(callsOf('GET')).toBe(3);
  fixture.sandbox.faults.set({ match: 'GET *', status: 502 });
  expect(await failure(read())).toMatchObject({ code: 'forge-unreachable', retryable: true });
  expect(callsOf('GET')).toBe(6);
});

it('does not repeat a comment that may have arrived, and finds it the next time', async () => {
  const marker = '<!-- bough once -->';
  const publish = () =>
    fixture.forge.publishComment(fixture.repository, { number, body: `hello\n${marker}`, marker });
  fixture.sandbox.faults.set({ match: 'POST *comments', disconnect: 'after', times: 1 });
  expect(await failure(publish())).toMatchObject({ code: 'forge-unreachable', retryable: true });
  expect(callsOf('POST')).toBe(1);
  expect((await publish()).outcome).toBe('updated');
  const ours = (await fixture.comments(number)).filter(({ body }) => body.includes(marker));
  expect(ours).toHaveLength(1);
});

it('ends a deployment that was made after its call was given up', async () => {
  const head = await fixture.forge.readBranch(fixture.repository, 'x');
  if (head === 'gone') throw new Error('gone');
  const marker = 'i1/1/1';
  const deployment = {
    ...{ commit: head.commit, environment: 'preview', marker, description: 'x', production: false },
    ...{ state: 'success' as const, logUrl: 'http://localhost:3000/1' },
  };
  const { externalId } = await fixture.forge.publishDeployment(fixture.repository, deployment);
  const ask = async (path: string, body?: object) => {
    const reply = await fetch(`${fixture.sandbox.apiUrl}/repos/acme/shop/deployments${path}`, {
      headers: { authorization: `token ${fixture.credential}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }),
    });
    return await reply.json();
  };
  const options = { auto_merge: false, required_contexts: [], payload: { bough: marker } };
  const late = (await ask('', { ref: head.commit, environment: 'preview', ...options })) as { id: number };
  await fixture.forge.publishDeployment(fixture.repository, {
    ...deployment,
    externalId,
    mayBeDoubled: true,
  });
  expect(await ask(`/${late.id}/statuses`)).toMatchObject([{ state: 'inactive' }]);
  expect(await ask(`/${externalId}/statuses?per_page=1`)).toMatchObject([{ state: 'success' }]);
});

it('ends a request that is not answered', async () => {
  const impatient = await startSandboxFixture('token', { requestTimeoutMs: 1500 });
  try {
    await impatient.push('x', { 'x.txt': 'x\n' });
    const pull = await impatient.openPullRequest('x');
    impatient.sandbox.faults.set({ match: 'POST *', delayMs: 4000 });
    const body = { number: pull, body: 'x', marker: '<!-- slow -->' };
    const started = Date.now();
    const error = await failure(impatient.forge.publishComment(impatient.repository, body));
    expect(error.code).toBe('forge-unreachable');
    expect(error.message).toContain('1500 ms');
    expect(Date.now() - started).toBeLessThan(4000);
    // The forge did the work after all, and says so by a webhook: not into the middle of a later test.
    const posted = async () =>
      (await impatient.comments(pull)).some((comment) => comment.body.includes('<!-- slow -->'));
    await waitFor('the comment of the request that was given up', posted, { timeoutMs: 20_000 });
    await impatient.sandbox.settled();
  } finally {
    await impatient.close();
  }
});

it('ends a request whose answer comes a byte at a time', async () => {
  const forge = createGitHubForge({ ...fixture.options, requestTimeoutMs: 1000 });
  fixture.sandbox.faults.set({ match: 'GET *', trickle: true });
  expect(await failure(forge.readPullRequest(fixture.repository, number))).toMatchObject({
    code: 'forge-unreachable',
    retryable: true,
  });
});

it('takes a page for people for no answer', async () => {
  fixture.sandbox.faults.set({ match: 'GET */pulls', html: true });
  expect(await failure(fixture.forge.listOpen(fixture.repository))).toMatchObject({
    code: 'forge-unreachable',
    retryable: true,
  });
});

it('hears that nothing has changed only where it asked', async () => {
  fixture.sandbox.faults.set({ match: 'GET */pulls', unchanged: true });
  const listed = await fixture.forge.listOpen(fixture.repository);
  if (listed === 'unchanged') throw new Error('nobody asked whether it changed');
  expect(listed.pulls).toMatchObject([{ number }]);
});

it('ends a request at once when the caller aborts', async () => {
  fixture.sandbox.faults.set({ match: 'GET *', delayMs: 1200 });
  const controller = new AbortController();
  const reading = fixture.forge.readPullRequest(fixture.repository, number, controller.signal);
  setTimeout(() => controller.abort(new Error('superseded')), 50);
  const started = Date.now();
  await expect(reading).rejects.toThrow('superseded');
  expect(Date.now() - started).toBeLessThan(800);
});

it('surfaces how long a limit lasts instead of waiting for it', async () => {
  fixture.sandbox.faults.set({ match: 'GET *', status: 403, retryAfter: 90, times: 1 });
  expect(await failure(read())).toMatchObject({
    code: 'forge-rate-limited',
    retryAfterMs: 90_000,
    retryable: true,
  });
  fixture.sandbox.faults.set({ match: 'GET *', primaryLimitResetS: 600, times: 1 });
  const primary = await failure(read());
  expect(primary.code).toBe('forge-rate-limited');
  expect(primary.retryAfterMs).toBeGreaterThan(590_000);
  expect(primary.retryAfterMs).toBeLessThan(610_000);
});

it('waits out a short limit by itself', async () => {
  fixture.sandbox.faults.set({ match: 'GET *', status: 429, retryAfter: 1, times: 1 });
  expect(await read()).toMatchObject({ number });
});

it('says what to do about refused credentials and missing permission', async () => {
  fixture.sandbox.faults.set({ match: 'GET *', status: 401, times: 1 });
  const unauthorized = await failure(read());
  expect(unauthorized.code).toBe('forge-unauthorized');
  expect(unauthorized.hint).toContain('GITHUB_TOKEN');
  fixture.sandbox.faults.set({
    match: 'POST *',
    status: 403,
    message: 'Unable to create comment because issue is locked.',
  });
  const locked = await failure(
    fixture.forge.publishComment(fixture.repository, { number, body: 'x', marker: '<!-- locked -->' }),
  );
  expect(locked).toMatchObject({ code: 'forge-forbidden', retryable: false });
  expect(locked.message).toContain('locked');
});

it('never takes lost access for a closed pull request', async () => {
  fixture.sandbox.faults.set({ match: 'GET *', status: 404 });
  expect(await failure(read())).toMatchObject({ code: 'forge-forbidden' });
  expect(await failure(fixture.forge.readBranch(fixture.repository, 'main'))).toMatchObject({
    code: 'forge-forbidden',
  });
  expect(await failure(fixture.forge.listOpen(fixture.repository))).toMatchObject({ code: 'forge-rejected' });
});

it('throws when any page of a listing fails', async () => {
  fixture.sandbox.faults.set({ match: 'GET *pulls', status: 500 });
  expect(await failure(fixture.forge.listOpen(fixture.repository))).toMatchObject({
    code: 'forge-unreachable',
  });
});

it('keeps the credential out of every error', async () => {
  const { inspect } = await import('node:util');
  fixture.sandbox.faults.set({ match: 'GET *', status: 500 });
  const shown = inspect(await failure(read()), { depth: 20, showHidden: true });
  expect(shown).not.toContain(fixture.credential);
});

it('says that something else answers at the address', async () => {
  const server = createServer((_, response) => {
    response.setHeader('content-type', 'text/html').end('<h1>Sign in to the network</h1>');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const apiUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/api/v3`;
  const forge = createGitHubForge({ ...fixture.options, apiUrl });
  const error = await failure(forge.readPullRequest(fixture.repository, 1));
  expect(error.hint).toContain('GITHUB_API_URL');
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  expect((await failure(forge.readPullRequest(fixture.repository, 1))).code).toBe('forge-unreachable');
});

it('finds a renamed repository again, for reading, writing and fetching', async () => {
  await fixture.sandbox.renameRepository({ repo: 'acme/shop', name: 'store' });
  expect(await fixture.forge.readRepository({ id: fixture.repository.id })).toMatchObject({ name: 'store' });
  expect(await read()).toMatchObject({ number });
  const marker = '<!-- renamed -->';
  const comment = { number, body: `x\n${marker}`, marker };
  const published = await fixture.forge.publishComment(fixture.repository, comment);
  expect(published.outcome).toBe('created');
  // Somebody takes the old name: it is another repository, and nothing of ours.
  await fixture.sandbox.createRepository({ owner: 'acme', name: 'shop' });
  await fixture.sandbox.commit({
    repo: 'acme/shop',
    branch: 'main',
    files: { 'a.txt': 'a' },
    message: 'Start',
  });
  expect(await read()).toMatchObject({ base: { repositoryId: fixture.repository.id } });
  await fixture.sandbox.deleteRepository({ repo: 'acme/shop' });
  await fixture.sandbox.renameRepository({ repo: 'acme/store', name: 'shop' });
});

it('creates a webhook once, pings it, finds what failed and has it sent again', async () => {
  const received: string[] = [];
  let status = 202;
  const verdicts: string[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const headers = Object.fromEntries(
      Object.entries(request.headers).map(([name, value]) => [
        name,
        typeof value === 'string' ? value : undefined,
      ]),
    );
    verdicts.push(await fixture.forge.verify(Buffer.concat(chunks), headers));
    const parsed = fixture.forge.parse(Buffer.concat(chunks), headers);
    received.push(`${parsed.event} ${parsed.kind} ${parsed.deliveryId}`);
    response.writeHead(status).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/webhooks/github`;
  const { forge, repository, sandbox } = fixture;
  try {
    const hook = { url, secret: HOOK_SECRET };
    const { externalId: webhookId } = await forge.ensureWebhook(repository, hook);
    expect(await forge.ensureWebhook(repository, hook)).toEqual({ externalId: webhookId });
    expect(await forge.ensureWebhook(repository, { ...hook, externalId: webhookId })).toEqual({
      externalId: webhookId,
    });
    await forge.pingWebhook(repository, webhookId);
    await sandbox.settled();
    expect(received.some((line) => line.startsWith('ping ping'))).toBe(true);
    const since = new Date(Date.now() - 60_000);
    expect(await forge.failedDeliveries(repository, { since, webhookId })).toEqual([]);

    status = 503;
    await fixture.push('x', { 'x.txt': 'failed\n' });
    await sandbox.settled();
    const failed = await forge.failedDeliveries(repository, { since, webhookId });
    expect(failed.map(({ event }) => event).sort()).toEqual(['pull_request', 'push']);
    const before = received.length;
    const [first] = failed;
    if (!first) throw new Error('nothing failed');

    status = 202;
    await forge.redeliver(repository, first, { webhookId });
    await sandbox.settled();
    expect(received.slice(before)).toEqual([expect.stringContaining(first.deliveryId)]);
    const rest = await forge.failedDeliveries(repository, { since, webhookId });
    expect(rest.map(({ deliveryId }) => deliveryId)).not.toContain(first.deliveryId);
    expect(rest).toHaveLength(1);
    expect(
      await forge.failedDeliveries(repository, { since: new Date(Date.now() + 60_000), webhookId }),
    ).toEqual([]);
    expect(new Set(verdicts)).toEqual(new Set(['valid']));

    await forge.removeWebhook(repository, webhookId);
    await forge.removeWebhook(repository, webhookId);
    await expect(forge.failedDeliveries(repository, { since })).rejects.toMatchObject({
      code: 'forge-rejected',
    });
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

it('lists what the App’s own webhook lost', async () => {
  const app = await startSandboxFixture('app');
  try {
    await app.sandbox.setAppWebhook({ url: 'http://127.0.0.1:9/webhooks/github', secret: HOOK_SECRET });
    await app.push('x', { 'x.txt': 'x\n' });
    await app.sandbox.settled();
    const since = new Date(Date.now() - 60_000);
    const failed = await app.forge.failedDeliveries(app.repository, { since });
    expect(failed.map(({ event }) => event)).toContain('push');
    expect(await app.forge.failedDeliveries({ ...app.repository, id: 1 }, { since })).toEqual([]);
    const [first] = failed;
    if (!first) throw new Error('nothing failed');
    await app.forge.redeliver(app.repository, first, {});
    app.expectConformingCalls();
  } finally {
    await app.close();
  }
});

it('asks for an installation’s token once, and again when the installation changed', async () => {
  const app = await startSandboxFixture('app');
  try {
    const tokens = () => app.sandbox.apiCalls.filter((call) => call.path.endsWith('/access_tokens')).length;
    const stale = { ...app.repository, forgeInstallationId: 424_242 };
    await Promise.all([app.forge.readBranch(stale, 'main'), app.forge.readBranch(stale, 'main')]);
    const asked = tokens();
    expect(asked).toBeLessThanOrEqual(4);
    await app.forge.readBranch(stale, 'main');
    await app.forge.readBranch(app.repository, 'main');
    expect(tokens()).toBe(asked);
  } finally {
    await app.close();
  }
});

it('says that the private key does not belong to the App', async () => {
  const auth = { kind: 'app', appId: 1, privateKey: new Secret('no key at all') } as const;
  const forge = createGitHubForge({ ...fixture.options, auth });
  const error = await failure(forge.readRepository({ owner: 'acme', name: 'shop' }));
  expect(error.code).toBe('forge-unauthorized');
  expect(error.hint).toContain('GITHUB_APP_PRIVATE_KEY');
});

it('spaces writes, not reads, where the forge asks for it', async () => {
  const forge = createGitHubForge({ ...fixture.options, writeSpacingMs: 300 });
  const comment = (marker: string) =>
    forge.publishComment(fixture.repository, { number, body: marker, marker, externalId: '1' });
  const started = Date.now();
  await Promise.all(Array.from({ length: 5 }, () => forge.readPullRequest(fixture.repository, number)));
  const readMs = Date.now() - started;
  await Promise.all([comment('<!-- 1 -->'), comment('<!-- 2 -->')]);
  // Four writes: each tries the id first, which is gone, and then creates.
  expect(Date.now() - started - readMs).toBeGreaterThanOrEqual(900);
  const writes = fixture.sandbox.apiCalls.filter((call) => call.method !== 'GET');
  expect(writes).toHaveLength(4);
});
