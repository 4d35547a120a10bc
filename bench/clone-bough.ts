import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { temporaryAttestationKeys } from '@bough/domain/attestation-key';
import { systemClock } from '@bough/domain/clock';
import { Secret } from '@bough/domain/secret';
import { createProcessEngine } from '@bough/engine/process/engine';
import { createSources } from '@bough/forge/git/sources';
import { compilePlan, toolchainsOf } from '@bough/manifest/compile-plan';
import { readManifest } from '@bough/manifest/read-manifest';
import { createBuildSlots } from '@bough/reconcile/build-slots';
import { type Context, DEFAULT_DEADLINES } from '@bough/reconcile/context';
import { AttestedSnapshot } from '@bough/reconcile/data/attestation';
import { captureGolden } from '@bough/reconcile/data/capture';
import { cloneGolden } from '@bough/reconcile/data/clone';
import { goldenCredentials } from '@bough/reconcile/data/golden-credentials';
import type { PlannedRun, StepVoice } from '@bough/reconcile/deploy/run';
import {
  credentialsOf,
  declarationOf,
  ensureServices,
  type InheritedCredentials,
  type RunningService,
  serviceVolumeId,
  startService,
} from '@bough/reconcile/deploy/services';
import { systemNetwork } from '@bough/reconcile/network';
import { createStepLogs } from '@bough/reconcile/step-log';
import { serviceFor } from '@bough/service/registry';
import type { Address, Credentials } from '@bough/service/service';
import { chooseStorage } from '@bough/storage/probe';
import { openDeployment } from '@bough/store/deployments';
import { createEncryption } from '@bough/store/encryption';
import { findEnvironment, writeDesired } from '@bough/store/environments';
import { insertProject } from '@bough/store/projects';
import type { Toolchain } from '@bough/toolchain/toolchain';
import pg from 'pg';
import type { Disk } from './clone-disk.ts';

const COMMIT = 'b'.repeat(40);
export const DATABASE = 'main';

/** A worker's context on one disk, a production that runs there, and what is cloned from it. */
export interface CloneSide {
  readonly context: Context;
  readonly parent: PlannedRun;
  /** Makes production, fills it by these statements and leaves it running. */
  fillParent(statements: readonly string[]): Promise<RunningService>;
  removeParent(): Promise<void>;
  /** From the running parent to an attested golden; the time is all of it. */
  capture(): Promise<Golden>;
  removeGolden(golden: Golden): Promise<void>;
  /** Rows that a preview has before it asks for its data: not measured. */
  prepare(number: number): Promise<PlannedRun>;
  /** As the worker does for the newest golden: resolves when as many copies wait as are to; undefined for none. */
  copyAhead(golden: Golden | undefined): Promise<void>;
  /** What a preview waits for. */
  clone(run: PlannedRun, golden: Golden): Promise<Clone>;
  remove(run: PlannedRun): Promise<void>;
}

export interface Golden {
  readonly attested: AttestedSnapshot;
  readonly inherited: InheritedCredentials;
  readonly totalMs: number;
  readonly steps: Steps;
}

export interface Clone {
  readonly service: RunningService;
  readonly totalMs: number;
  readonly steps: Steps;
}

/** Step → ms, in the order in which they ended. */
export type Steps = Readonly<Record<string, number>>;

export async function openCloneSide(options: {
  disk: Disk;
  major: number;
  toolchain: Toolchain;
  databaseUrl: string;
  pool: pg.Pool;
  signal: AbortSignal;
  installationId: string;
}): Promise<CloneSide> {
  const { disk, toolchain, pool, signal, installationId } = options;
  const log = { info() {}, warn() {}, error() {} };
  const engine = await createProcessEngine({ home: disk.home, installationId, toolchain, log });
  const places = disk.kind === 'btrfs' ? await toolchain.resolve('btrfs-progs') : undefined;
  const { storage } = await chooseStorage({
    ...{ root: join(disk.home, 'volumes'), want: 'auto', installationId, places, log },
  });
  const git = { command: 'git', env: {} };
  const context: Context = {
    ...{ pool, databaseUrl: options.databaseUrl, connect: (settings) => new pg.Client(settings) },
    ...{
      clock: systemClock,
      installationId,
      enqueue: async () => {},
      network: systemNetwork,
      engine,
      storage,
      log,
    },
    forge: () => {
      throw new Error('no forge is asked');
    },
    sources: createSources(git, join(disk.home, 'checkouts')),
    stepLogs: createStepLogs(join(disk.home, 'logs')),
    service: serviceFor,
    encryption: createEncryption({ current: new Secret(randomBytes(32).toString('base64')) }),
    signingKey: new Secret(randomBytes(32).toString('hex')),
    attestationKeys: temporaryAttestationKeys(),
    directories: { mirrors: join(disk.home, 'mirrors'), dumps: join(disk.home, 'dumps') },
    gateway: { host: '127.0.0.1', port: 1, probeToken: new Secret('probe') },
    ...{
      linkKey: new Secret('link key'),
      previewUrl: 'http://*.localhost:8080',
      publicUrl: 'http://localhost:3000',
      mayReap: false,
    },
    isolation: await engine.probeIsolation(),
    seclusion: { ok: false, reason: 'nothing is secluded here' },
    ...{ buildSlots: createBuildSlots(1, () => {}), deadlines: { ...DEFAULT_DEADLINES, serviceMs: 300_000 } },
  };
  const plan = await makePlan(context, options.major);
  const project = await insertProject(pool, {
    ...{
      installationId,
      forge: 'github',
      forgeHost: 'github.com',
      repositoryId: Math.trunc(Math.random() * 1e9),
    },
    ...{
      owner: 'bench',
      name: disk.kind,
      slug: `bench-${randomBytes(4).toString('hex')}`,
      defaultBranch: 'main',
    },
    ...{ production: 'managed', intake: 'poll' },
  });

  async function planned(kind: 'production' | 'preview', subject: string): Promise<PlannedRun> {
    const { environment } = await writeDesired(pool, {
      ...{ projectId: project.id, installationId, subject, kind, facts: {} },
      ...{
        slug: `${subject.replace('/', '-')}--${project.slug}`,
        desiredState: 'running' as const,
        desiredCommit: COMMIT,
      },
      ...{ policyCommit: null, heldReason: null, variablesRevision: '0', requestId: null },
    });
    const row = await findEnvironment(pool, environment.id);
    if (row === undefined) throw new Error('the environment is gone');
    const fence = { environmentId: row.id, generation: row.generation, lease: row.lease };
    return {
      ...{
        context,
        project,
        environment: row,
        commit: COMMIT,
        mirror: '',
        policy: null,
        secrets: new Set(),
        plan,
      },
      ...{ lock: { fence, signal }, deployment: await openDeployment(pool, fence, COMMIT), trees: new Map() },
    };
  }
  const parent = await planned('production', 'production');

  return {
    context,
    parent,
    fillParent: (statements) => fillParent(parent, statements),
    removeParent: () => removeAll(parent),

    async capture() {
      const { steps, run } = timed(parent);
      const from = performance.now();
      const row = await captureGolden(run, { sanitize: 'none', commit: COMMIT, why: 'measured' }, silent);
      const totalMs = performance.now() - from;
      const attested = AttestedSnapshot.verify(context.attestationKeys, row, { sanitize: 'none' });
      return { attested, inherited: goldenCredentials(context.encryption, row), totalMs, steps };
    },

    async removeGolden({ attested }) {
      for (const { snapshotId } of Object.values(attested.facts.volumes))
        await storage.removeSnapshot(snapshotId);
    },

    prepare: (number) => planned('preview', `pull/${number}`),

    async copyAhead(golden) {
      const volumes = Object.values(golden?.attested.facts.volumes ?? {});
      storage.warm?.keep(volumes.map(({ snapshotId }) => snapshotId));
      await storage.warm?.settled();
    },

    async clone(preview, golden) {
      const { steps, run } = timed(preview);
      const from = performance.now();
      await cloneGolden(run, golden.attested, silent);
      const [service] = await ensureServices(run, golden.inherited, silent);
      if (service === undefined) throw new Error('the plan has no service');
      const asked = performance.now();
      await ask(service.address, appOf(service.credentials), 'select 1');
      steps['first query'] = performance.now() - asked;
      return { service, totalMs: performance.now() - from, steps };
    },

    remove: removeAll,
  };
}

async function makePlan(context: Context, major: number): Promise<PlannedRun['plan']> {
  const text = `services:\n  database: { type: "postgresql:${major}" }\napplications:\n  app: { type: "nodejs:22", web: { commands: { start: "true" } }, relationships: { database: "database:postgresql" } }\n`;
  const read = readManifest({ '.bough/config.yaml': text });
  if (read.kind !== 'manifest') throw new Error(`the manifest is wrong: ${JSON.stringify(read)}`);
  const serviceToolchain = (service: { type: string; version: string }) =>
    context.service(service.type).toolchain({ ...service, name: 'database', configuration: {} });
  const wants = toolchainsOf(read.manifest, serviceToolchain).filter((want) => want.startsWith('postgresql'));
  const versions = new Map(
    await Promise.all(
      wants.map(async (want) => [want, { want, ...(await context.engine.resolve(want)) }] as const),
    ),
  );
  versions.set('nodejs:22', { want: 'nodejs:22', toolchain: 'nodejs:22', version: '22', digest: '' });
  return compilePlan(read.manifest, {
    ...{ kind: 'preview', slug: 'bench', previewUrl: context.previewUrl, versions, serviceToolchain },
  });
}

/** Filled without syncs and without a log, then started as production is. */
async function fillParent(parent: PlannedRun, statements: readonly string[]): Promise<RunningService> {
  const { context } = parent;
  const [planned] = parent.plan.common.services;
  if (planned === undefined) throw new Error('the plan has no service');
  const service = context.service(planned.type);
  const declaration = declarationOf(planned);
  const credentials = await credentialsOf(parent, declaration);
  const volume = await context.storage.ensure({
    id: serviceVolumeId(parent, planned.name),
    labels: {
      ...{ installationId: context.installationId, environmentId: parent.environment.id },
      ...{ name: `service:${planned.name}`, kind: 'production' },
    },
  });
  const filling = await startService(parent, {
    ...{ service, declaration, credentials, volume, mode: 'capture', voice: silent, workloadName: 'fill' },
  });
  await service.ready(filling.address, credentials, parent.lock.signal);
  await service.provision(declaration, filling.address, credentials);
  for (const sql of statements) {
    parent.lock.signal.throwIfAborted();
    await ask(filling.address, appOf(credentials), sql);
  }
  await context.engine.remove(filling.workload.id);
  const [running] = await ensureServices(parent, {}, silent);
  if (running === undefined) throw new Error('production did not start');
  return running;
}

async function removeAll({ context, environment }: PlannedRun): Promise<void> {
  for (const workload of await context.engine.list({ environmentId: environment.id }))
    await context.engine.remove(workload.id);
  for (const volume of await context.storage.list()) {
    if (volume.labels.environmentId === environment.id) await context.storage.remove(volume.id);
  }
}

const silent: StepVoice = { line() {}, note: async () => {} };

/** The same run, whose storage, engine and service note how long each of their verbs took. */
function timed(run: PlannedRun): { run: PlannedRun; steps: Record<string, number> } {
  const steps: Record<string, number> = {};
  const note = async <Result>(name: string, work: () => Promise<Result>): Promise<Result> => {
    const from = performance.now();
    try {
      return await work();
    } finally {
      steps[name] = (steps[name] ?? 0) + performance.now() - from;
    }
  };
  const { context } = run;
  const { storage, engine } = context;
  const context_: Context = {
    ...context,
    storage: {
      ...storage,
      ensure: (spec) => note('clone volume', () => storage.ensure(spec)),
      snapshot: (id, spec, hooks) =>
        note(id.includes('raw') || hooks ? 'copy while it runs' : 'freeze', () =>
          storage.snapshot(id, spec, hooks),
        ),
    },
    engine: {
      ...engine,
      ensure: (spec, options) => note('start', () => engine.ensure(spec, options)),
      remove: (id) => note('stop', () => engine.remove(id)),
    },
    service: (type) => {
      const service = context.service(type);
      const { cloning } = service;
      return {
        ...service,
        ready: (...given) => note('ready', () => service.ready(...given)),
        provision: (...given) => note('roles and rights', () => service.provision(...given)),
        ...(cloning === undefined
          ? {}
          : {
              cloning: {
                ...cloning,
                defang: (path) => note('defang', () => cloning.defang(path)),
                claim: (...given) => note('own passwords', () => cloning.claim(...given)),
                adopt: (...given) =>
                  note('ready with own passwords and rights', () => cloning.adopt(...given)),
              },
            }),
      };
    },
  };
  return { run: { ...run, context: context_ }, steps };
}

export function appOf(credentials: Credentials): { username: string; password: Secret } {
  const login = credentials.endpoints.postgresql;
  if (login === undefined) throw new Error('there is no endpoint');
  return login;
}

export async function ask(
  address: Address,
  login: { username: string; password: Secret },
  sql: string,
  database = DATABASE,
): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({
    ...{
      host: address.host,
      port: address.port,
      user: login.username,
      password: login.password.reveal(),
      database,
    },
  });
  client.on('error', () => {});
  await client.connect();
  try {
    const result = await client.query(sql);
    return result.rows;
  } finally {
    await client.end();
  }
}
