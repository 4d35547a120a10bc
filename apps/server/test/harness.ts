import { createHmac, randomBytes, randomUUID } from 'node:crypto';
import { createMetrics } from '@bough/boot/metrics';
import { temporaryAttestationKeys } from '@bough/domain/attestation-key';
import { systemClock } from '@bough/domain/clock';
import { Secret } from '@bough/domain/secret';
import type { Forge } from '@bough/forge/forge';
import { createGitHubForge } from '@bough/forge/github/forge';
import { createQueues, type Queues } from '@bough/queue/queue';
import { openBranch } from '@bough/reconcile/open-branch';
import { createPool } from '@bough/store/database';
import { createEncryption, type Encryption } from '@bough/store/encryption';
import { insertProject, type Project, removeProject } from '@bough/store/projects';
import { createTempHome } from '@bough/testkit/temp-home';
import type { FastifyInstance } from 'fastify';
import type pg from 'pg';
import type { ServerOptions } from '../src/options.ts';
import { buildServer } from '../src/server.ts';

export const token = 'a-long-enough-admin-token';
export const bearer = { authorization: `Bearer ${token}` };
const secrets = ['the first secret', 'the second secret'];
/** Those of the home of every server here. */
export const attestationKeys = temporaryAttestationKeys();
const silent = { debug() {}, info() {}, warn() {}, error() {} };

export interface TestServer {
  readonly app: FastifyInstance;
  readonly pool: pg.Pool;
  readonly queues: Queues;
  readonly encryption: Encryption;
  readonly logsDir: string;
  /** Sends a signed delivery; what is given replaces a part of it. */
  deliver(
    payload: object,
    over?: Partial<Delivery>,
  ): Promise<{ status: number; body: Record<string, unknown> }>;
  addProject(repositoryId: number, name?: string): Promise<Project>;
  /** Keys that wait in the observe queue, as a worker would get them; takes them out. */
  takeObserved(): Promise<string[]>;
  close(): Promise<void>;
}

export interface Delivery {
  readonly event: string;
  readonly id: string;
  readonly secret: string;
  readonly headers: Readonly<Record<string, string>>;
}

export async function startServer(
  stores: { databaseUrl: string; redisUrl: string },
  over: Partial<ServerOptions> = {},
): Promise<TestServer> {
  const home = await createTempHome('server');
  const pool = createPool({ url: stores.databaseUrl, max: 5, applicationName: 'test' });
  const installationId = `t${randomUUID().slice(0, 8)}`;
  const connection = { kind: 'redis', url: stores.redisUrl } as const;
  const queues = await createQueues({ connection, prefix: installationId, log: silent });
  const encryption = createEncryption({ current: new Secret(randomBytes(32).toString('base64')) });
  const project = (repositoryId: number, name: string) =>
    insertProject(pool, {
      ...{ installationId, repositoryId, name, slug: name.toLowerCase(), forge: 'github', owner: 'acme' },
      ...{ forgeHost: 'github.com', defaultBranch: 'main', production: 'external', intake: 'webhook' },
    });
  const app = buildServer({
    ...{ installationId, version: '0.1.0', pool, queues, encryption, logsDir: home.path, log: silent },
    forges: { github: createForge() },
    adminToken: new Secret(token),
    attestationKeys: [attestationKeys.current.public],
    publicUrl: 'http://bough.test',
    linkKey: new Secret('link key'),
    previewUrl: 'http://*.localhost:8080',
    metrics: createMetrics('server'),
    projects: {
      connect: ({ name }) => project(4711, name),
      disconnect: async ({ id }) => void (await removeProject(pool, id)),
      propose: async ({ owner, name }) => ({ number: 1, url: `https://github.com/${owner}/${name}/pull/1` }),
      branch: (at, wish) => openBranch({ pool, forge: createForge(), clock: systemClock }, at, wish),
    },
    isAllowedOwner: (owner) => owner === 'Allowed',
    ...over,
  });
  return {
    ...{ app, pool, queues, encryption, logsDir: home.path },
    addProject: (repositoryId, name = `Shop${repositoryId}`) => project(repositoryId, name),
    async deliver(payload, part = {}) {
      const answer = await app.inject({ method: 'POST', url: '/webhooks/github', ...signed(payload, part) });
      return { status: answer.statusCode, body: answer.json() };
    },
    takeObserved: () => takeObserved(queues),
    async close() {
      await app.close();
      await queues.close();
      await pool.end();
      await home.remove();
    },
  };
}

function createForge(): Forge {
  return createGitHubForge({
    apiUrl: 'https://api.github.com',
    webhookSecrets: secrets.map((secret) => new Secret(secret)),
    auth: { kind: 'token', token: new Secret('unused') },
    log: silent,
    gitCommand: { command: 'git', env: {} },
  });
}

/** As GitHub signs it. */
export function signed(payload: object | string, over: Partial<Delivery> = {}) {
  const body = typeof payload === 'string' ? payload : JSON.stringify(payload);
  const signature = createHmac('sha256', over.secret ?? secrets[0] ?? '')
    .update(body)
    .digest('hex');
  return {
    payload: body,
    headers: {
      'content-type': 'application/json',
      'x-github-event': over.event ?? 'pull_request',
      'x-github-delivery': over.id ?? randomUUID(),
      'x-hub-signature-256': `sha256=${signature}`,
      ...over.headers,
    },
  };
}

export const secondSecret = secrets[1] ?? '';

async function takeObserved(queues: Queues): Promise<string[]> {
  const keys: string[] = [];
  const consumer = queues.consume(
    'observe',
    async (key) => {
      keys.push(key);
      return { kind: 'done' };
    },
    { concurrency: 1 },
  );
  const deadline = Date.now() + 10_000;
  for (;;) {
    const { waiting, active, delayed } = (await queues.counts()).observe;
    if (waiting + active + delayed === 0) break;
    if (Date.now() > deadline) throw new Error('the observe queue does not become empty');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  await consumer.close({ timeoutMs: 2_000 });
  return keys.sort();
}

export function pullRequestEvent(repositoryId: number, number = 7): object {
  return {
    action: 'opened',
    number,
    pull_request: { number },
    repository: {
      id: repositoryId,
      name: 'shop',
      full_name: 'acme/shop',
      default_branch: 'main',
      owner: { login: 'acme' },
    },
  };
}
