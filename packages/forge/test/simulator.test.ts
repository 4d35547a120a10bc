import { generateKeyPairSync } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Secret } from '@bough/domain/secret';
import { simulation } from '@simulacrum/github-api-simulator';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CheckReport, DeploymentReport, Forge } from '../src/forge.ts';
import { ForgeError } from '../src/forge-error.ts';
import { createGitHubForge } from '../src/github/forge.ts';
import { validateCall } from '../src/github/schema/validate-call.ts';
import { git, log } from './sandbox-fixture.ts';

/**
 * A simulator that others wrote, which checks each call against GitHub's OpenAPI and answers with GitHub's published
 * examples. It remembers nothing; that the calls together do the right thing is shown against the sandbox forge.
 */
let simulator: Server;
let recorder: Server;
let apiUrl: string;
const calls: { call: string; status: number; body: string; problems: string[]; ignored: string[] }[] = [];

const operations = new Set<string>();

beforeAll(async () => {
  const listener = await simulation({
    initialState: {
      users: [{ login: 'acme', name: 'Acme', organizations: [] }],
      installations: [],
      organizations: [{ login: 'acme' }],
      repositories: [{ owner: 'acme', name: 'shop' }],
      branches: [{ owner: 'acme', repo: 'shop', name: 'main' }],
      blobs: [],
    } as never,
  }).listen(0, () => undefined);
  simulator = (listener as unknown as { server: Server }).server;
  if (!simulator.listening) await new Promise((resolve) => simulator.once('listening', resolve));
  const { port } = simulator.address() as AddressInfo;
  recorder = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const sent = Buffer.concat(chunks);
    const url = new URL(request.url ?? '/', 'http://recorder');
    const checked = validateCall({
      method: request.method ?? 'GET',
      path: url.pathname,
      query: Object.fromEntries(url.searchParams),
      ...(sent.length === 0 ? {} : { body: JSON.parse(sent.toString('utf8')) }),
    });
    const answer = await fetch(`http://localhost:${port}${request.url}`, {
      method: request.method ?? 'GET',
      headers: {
        authorization: request.headers.authorization ?? '',
        ...(sent.length === 0 ? {} : { 'content-type': 'application/json' }),
      },
      ...(sent.length === 0 ? {} : { body: sent }),
    });
    const body = await answer.text();
    if (checked.operationId !== undefined) operations.add(checked.operationId);
    calls.push({
      call: `${request.method} ${url.pathname}`,
      status: answer.status,
      body: body.slice(0, 500),
      problems: checked.problems ?? [],
      ignored: checked.problems ? [] : checked.ignored,
    });
    response.writeHead(answer.status, {
      'content-type': answer.headers.get('content-type') ?? 'application/json',
    });
    response.end(answer.status === 204 ? undefined : body);
  });
  await new Promise<void>((resolve) => recorder.listen(0, '127.0.0.1', resolve));
  apiUrl = `http://127.0.0.1:${(recorder.address() as AddressInfo).port}`;
}, 60_000);

afterAll(async () => {
  for (const server of [recorder, simulator]) {
    if (!server) continue;
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

const repository = { id: 1, owner: 'acme', name: 'shop', forgeInstallationId: 2000 };
const commit = 'a'.repeat(40);
const check: CheckReport = {
  name: 'Bough / preview',
  commit,
  state: 'failure',
  title: 'The manifest cannot be read',
  summary: 'One problem.',
  detailsUrl: 'https://bough.example.com/environments/1',
  annotations: [{ path: '.bough/app.yaml', line: 2, column: 1, level: 'failure', message: 'a tab' }],
};
const deployment: DeploymentReport = {
  commit,
  environment: 'preview',
  production: false,
  description: 'Preview of #1',
  marker: 'installation/1/2',
  state: 'success',
  logUrl: 'https://bough.example.com/deployments/1',
  environmentUrl: 'https://pr-1--shop.preview.example.com',
};

const every: readonly [string, (forge: Forge) => Promise<unknown>][] = [
  ['readRepository', (forge) => forge.readRepository({ owner: 'acme', name: 'shop' })],
  ['readPullRequest', (forge) => forge.readPullRequest(repository, 1)],
  ['readBranch', (forge) => forge.readBranch(repository, 'main')],
  ['locateCommit', (forge) => forge.locateCommit(repository, { id: '6dcb09b5', branch: 'main' })],
  ['listOpen', (forge) => forge.listOpen(repository)],
  ['listComments', (forge) => forge.listComments(repository, { since: new Date(0) })],
  ['newestComment', (forge) => forge.newestComment(repository)],
  [
    'publishComment',
    (forge) => forge.publishComment(repository, { number: 1, body: 'x', marker: '<!-- x -->' }),
  ],
  [
    'publishComment by id',
    (forge) =>
      forge.publishComment(repository, { number: 1, body: 'x', marker: '<!-- x -->', externalId: '1' }),
  ],
  ['removeComment', (forge) => forge.removeComment(repository, '1')],
  ['react', (forge) => forge.react(repository, { commentId: 1, content: 'rocket' })],
  ['publishCheck', (forge) => forge.publishCheck(repository, check)],
  [
    'publishCheck queued',
    (forge) => forge.publishCheck(repository, { ...check, state: 'queued', annotations: [] }),
  ],
  [
    'publishCheck by id',
    (forge) => forge.publishCheck(repository, { ...check, state: 'success', externalId: '4' }),
  ],
  ['publishDeployment', (forge) => forge.publishDeployment(repository, deployment)],
  [
    'publishDeployment inactive',
    (forge) => forge.publishDeployment(repository, { ...deployment, state: 'inactive', externalId: '42' }),
  ],
  ['permission', (forge) => forge.permission(repository, 'ann')],
  [
    'ensureWebhook',
    (forge) =>
      forge.ensureWebhook(repository, { url: 'https://bough.example.com/webhooks/github', secret: 's' }),
  ],
  [
    'ensureWebhook by id',
    (forge) =>
      forge.ensureWebhook(repository, {
        url: 'https://bough.example.com/webhooks/github',
        secret: 's',
        externalId: '1',
      }),
  ],
  ['removeWebhook', (forge) => forge.removeWebhook(repository, '1')],
  ['pingWebhook', (forge) => forge.pingWebhook(repository, '1')],
  ['failedDeliveries', (forge) => forge.failedDeliveries(repository, { since: new Date(0), webhookId: '1' })],
  [
    'redeliver',
    (forge) =>
      forge.redeliver(
        repository,
        { id: 1, deliveryId: 'x', event: 'push', deliveredAt: new Date() },
        { webhookId: '1' },
      ),
  ],
  [
    'proposeFiles',
    (forge) =>
      forge.proposeFiles(repository, {
        branch: 'bough',
        base: 'main',
        title: 'Add a manifest',
        body: 'x',
        files: { '.bough/app.yaml': 'apps: {}\n' },
      }),
  ],
];
const ofApps: typeof every = [
  ['failedDeliveries of the App', (forge) => forge.failedDeliveries(repository, { since: new Date(0) })],
  [
    'redeliver of the App',
    (forge) =>
      forge.redeliver(repository, { id: 1, deliveryId: 'x', event: 'push', deliveredAt: new Date() }, {}),
  ],
];

const { privateKey } = generateKeyPairSync('rsa', {
  modulusLength: 2048,
  publicKeyEncoding: { type: 'spki', format: 'pem' },
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
});

describe.each([
  ['a token', { kind: 'token', token: new Secret('simulated-token') } as const, every],
  ['an App', { kind: 'app', appId: 1, privateKey: new Secret(privateKey) } as const, [...every, ...ofApps]],
])('GitHub’s published schema, with %s', (_, auth, all) => {
  it.each(all)('accepts the calls of %s', async (_name, run) => {
    calls.length = 0;
    const forge = createGitHubForge({
      apiUrl,
      webhookSecrets: [],
      auth,
      log,
      gitCommand: git,
      writeSpacingMs: 0,
      retryPauseMs: 1,
    });
    // The published examples tell of another repository and other commits; what we say to that is tested elsewhere.
    await run(forge).catch((error: unknown) => {
      if (!(error instanceof ForgeError)) throw error;
    });
    expect(calls.length).toBeGreaterThan(0);
    const refused = calls.filter(
      // A file that the simulator was not given is a file that is not there.
      (call) =>
        (call.status >= 400 && call.body !== 'fixture does not exist') ||
        call.problems.length > 0 ||
        call.ignored.length > 0,
    );
    expect(refused).toEqual([]);
  });
});

it('was asked for everything that the driver does', () => {
  expect([...operations].sort()).toEqual([
    'apps/create-installation-access-token',
    'apps/get-authenticated',
    'apps/get-repo-installation',
    'apps/list-webhook-deliveries',
    'apps/redeliver-webhook-delivery',
    'checks/create',
    'checks/update',
    'git/get-ref',
    'issues/create-comment',
    'issues/delete-comment',
    'issues/list-comments',
    'issues/list-comments-for-repo',
    'issues/update-comment',
    'pulls/create',
    'pulls/get',
    'pulls/list',
    'reactions/create-for-issue-comment',
    'repos/compare-commits-with-basehead',
    'repos/create-commit-status',
    'repos/create-deployment',
    'repos/create-deployment-status',
    'repos/create-or-update-file-contents',
    'repos/create-webhook',
    'repos/delete-webhook',
    'repos/get',
    'repos/get-branch',
    'repos/get-collaborator-permission-level',
    'repos/get-commit',
    'repos/get-content',
    'repos/list-deployments',
    'repos/list-webhook-deliveries',
    'repos/list-webhooks',
    'repos/ping-webhook',
    'repos/redeliver-webhook-delivery',
    'repos/update-webhook',
    'users/get-authenticated',
  ]);
});
