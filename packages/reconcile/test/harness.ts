import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { temporaryAttestationKeys } from '@bough/domain/attestation-key';
import { systemClock } from '@bough/domain/clock';
import { Secret } from '@bough/domain/secret';
import type { Engine } from '@bough/engine/engine';
import { createFakeMachine, type FakeMachine } from '@bough/engine/fake/engine';
import type { Forge } from '@bough/forge/forge';
import { createSources } from '@bough/forge/git/sources';
import type { Service } from '@bough/service/service';
import { createFakeStorage } from '@bough/storage/fake/storage';
import { createPool } from '@bough/store/database';
import { createEncryption } from '@bough/store/encryption';
import { findEnvironment, writeDesired } from '@bough/store/environments';
import { insertProject } from '@bough/store/projects';
import { createGitRepository, type TestFiles } from '@bough/testkit/git-repository';
import { createTempHome } from '@bough/testkit/temp-home';
import { createTestDatabase } from '@bough/testkit/test-database';
import { testGit } from '@bough/testkit/test-git';
import pg from 'pg';
import { createBuildSlots } from '../src/build-slots.ts';
import { type Context, DEFAULT_DEADLINES, type FaultPoint } from '../src/context.ts';
import { systemNetwork } from '../src/network.ts';
import { reconcile } from '../src/reconcile.ts';
import { createStepLogs } from '../src/step-log.ts';

/** A worker and nothing that listens: no gateway is needed to verify it. */
export const MANIFEST = `applications:
  app:
    type: nodejs:22
    hooks: { build: "echo built" }
    workers: { jobs: { commands: { start: "echo working" } } }
`;

export interface Harness {
  readonly context: Context;
  readonly pool: pg.Pool;
  readonly engine: Engine;
  readonly machine: FakeMachine;
  readonly projectId: string;
  /** What was enqueued, and what happens when something is; a test may let it fail. */
  onEnqueue: (queue: string) => void;
  onPoint: (point: string) => Promise<void>;
  /** Commits the files on top of a manifest. */
  commit(files?: TestFiles): Promise<string>;
  wish(
    commit: string | null,
    change?: {
      heldReason?: string;
      requestId?: string;
      subject?: string;
      slug?: string;
      /** Of the harness, unless it is another. */
      projectId?: string;
    },
  ): Promise<string>;
  look(environmentId: string, signal?: AbortSignal): ReturnType<typeof reconcile>;
  row(environmentId: string): Promise<NonNullable<Awaited<ReturnType<typeof findEnvironment>>>>;
  /** Releases whose workloads run. */
  running(environmentId: string): Promise<string[]>;
  close(): Promise<void>;
}

/** Reconcile on a real Postgres and a real git, with an engine and a storage that keep everything in memory or a directory. */
export async function openHarness(): Promise<Harness> {
  const database = await createTestDatabase();
  const pool = createPool({ url: database.url, max: 10, applicationName: 'test' });
  const home = await createTempHome('reconcile');
  const machine = createFakeMachine();
  const engine = machine.engine('i1');
  const git = await testGit();
  const repository = await createGitRepository(join(home.path, 'repository'));
  const { id: projectId } = await insertProject(pool, {
    installationId: 'i1',
    forge: 'github',
    forgeHost: 'github.com',
    repositoryId: 1,
    owner: 'acme',
    name: 'shop',
    slug: 'shop',
    defaultBranch: 'main',
    production: 'managed',
    intake: 'poll',
  });
  const fetch: Forge['fetch'] = async (_repository, { mirror, commit }) => {
    const exists = await access(mirror).then(
      () => true,
      () => false,
    );
    if (!exists) await repository.git('clone', '--quiet', '--bare', '.', mirror);
    await repository.git('push', '--quiet', mirror, `${commit}:refs/bough/${commit}`);
  };
  const faultPoint: FaultPoint = ({ point }) => harness.onPoint(point);
  const harness: Harness = {
    pool,
    engine,
    machine,
    projectId,
    onEnqueue: () => {},
    onPoint: async () => {},
    context: {
      pool,
      databaseUrl: database.url,
      connect: (settings) => new pg.Client(settings),
      clock: systemClock,
      installationId: 'i1',
      enqueue: async (queue) => harness.onEnqueue(queue),
      // Of a forge, deploying uses nothing but the source.
      forge: () => ({ kind: 'github', host: 'github.com', fetch }) as unknown as Forge,
      sources: createSources(git, join(home.path, 'checkouts')),
      network: systemNetwork,
      stepLogs: createStepLogs(join(home.path, 'logs')),
      engine,
      storage: createFakeStorage({ root: join(home.path, 'volumes'), installationId: 'i1' }),
      service: () => QUEUE,
      encryption: createEncryption({ current: new Secret('6b'.repeat(32)) }),
      signingKey: new Secret('signing'),
      attestationKeys: temporaryAttestationKeys(),
      directories: { mirrors: join(home.path, 'mirrors'), dumps: join(home.path, 'dumps') },
      gateway: { host: '127.0.0.1', port: 1, probeToken: new Secret('probe') },
      linkKey: new Secret('link key'),
      previewUrl: 'http://*.localhost:8080',
      publicUrl: 'http://localhost:3000',
      mayReap: true,
      isolation: { ok: true },
      seclusion: { ok: true },
      buildSlots: createBuildSlots(2, () => {}),
      deadlines: DEFAULT_DEADLINES,
      log: { info: () => {}, warn: () => {}, error: () => {} },
      faultPoint,
    },
    commit: (files = {}) => repository.commit('Change', { '.bough/config.yaml': MANIFEST, ...files }),
    async wish(desiredCommit, { heldReason, requestId, subject, slug, ...of } = {}) {
      const { environment } = await writeDesired(pool, {
        projectId: of.projectId ?? projectId,
        installationId: 'i1',
        subject: subject ?? 'pull/7',
        slug: slug ?? 'pr-7--shop',
        kind: subject === 'production' ? 'production' : 'preview',
        facts: {},
        desiredState: 'running',
        desiredCommit,
        policyCommit: null,
        heldReason: heldReason ?? null,
        variablesRevision: '0',
        requestId: requestId ?? null,
      });
      return environment.id;
    },
    look: (id, signal = new AbortController().signal) => reconcile(harness.context, id, signal),
    async row(id) {
      const found = await findEnvironment(pool, id);
      if (found === undefined) throw new Error(`no environment ${id}`);
      return found;
    },
    async running(environmentId) {
      const workloads = await engine.list({ environmentId });
      return [...new Set(workloads.map(({ labels }) => labels.release ?? labels.name))].sort();
    },
    async close() {
      await pool.end();
      await database.drop();
      await home.remove();
    },
  };
  return harness;
}

/** A service that is always ready and keeps nothing. */
export const QUEUE: Service = {
  types: ['redis'],
  persistent: () => false,
  check: () => [],
  toolchain: () => 'redis:7',
  credentials: () => ({ username: '', password: new Secret('queue-password'), endpoints: {} }),
  program: () => ({
    env: {},
    command: 'echo serving',
    limits: { memoryBytes: 1, pids: 1, cpus: 1 },
    stopSignal: 'SIGTERM',
    stopGraceMs: 1,
  }),
  ready: async () => ({ version: '7.0.15' }),
  provision: async () => {},
  endpoints: () => ({
    redis: { scheme: 'redis', urlScheme: 'redis', username: '', password: null, path: '', query: {} },
  }),
};
