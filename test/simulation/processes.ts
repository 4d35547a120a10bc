import { temporaryAttestationKeys } from '@bough/domain/attestation-key';
import { Secret } from '@bough/domain/secret';
import type { Forge } from '@bough/forge/forge';
import { createQueuesOn } from '@bough/queue/queue';
import type { Capacity } from '@bough/reconcile/admit';
import { createBuildSlots } from '@bough/reconcile/build-slots';
import type { Context, Log } from '@bough/reconcile/context';
import { createDeliveryReceiver, type DeliveryReceiver } from '@bough/server/receive-delivery';
import { createRepositoryChanges } from '@bough/server/repository-changes';
import { createEncryption } from '@bough/store/encryption';
import { listAskedToWake } from '@bough/store/visits';
import { consumeAll } from '@bough/worker/consume';
import type pg from 'pg';
import type { Calls } from './calls.ts';
import type { Connections } from './connections.ts';
import type { Mutation } from './mutation.ts';
import { currentJob, type SimProcess } from './process.ts';
import type { Scheduler } from './scheduler.ts';
import type { Gateway } from './visitors.ts';
import type { Commits } from './world/commits.ts';
import type { Machine } from './world/machine.ts';
import { createNetwork } from './world/network.ts';
import type { QueueStore } from './world/queue-store.ts';
import { createService } from './world/service.ts';
import type { Disk } from './world/volumes.ts';

export const INSTALLATION = 'i1';
/** Those of a home, which outlives its processes. */
const ATTESTATION_KEYS = temporaryAttestationKeys();

/** What processes are made of: the world outside, which stays when they die. */
export interface Surroundings {
  readonly scheduler: Scheduler;
  readonly calls: Calls;
  readonly connections: Connections;
  readonly queueStore: QueueStore;
  readonly machine: Machine;
  readonly disk: Disk;
  readonly commits: Commits;
  readonly watcher: pg.Client;
  readonly forge: (process: SimProcess) => Forge;
  /** Whether webhooks of some project cannot reach us. */
  readonly isPolling: boolean;
  readonly capacity: (process: SimProcess) => Capacity;
  readonly mutation: Mutation | undefined;
  readonly log: Log;
}

export interface SimServer {
  readonly process: SimProcess;
  readonly forge: Forge;
  readonly receiver: DeliveryReceiver;
}

/** The part of the server that takes deliveries. */
export async function startServer(around: Surroundings, process: SimProcess): Promise<SimServer> {
  const clock = around.scheduler.clock(process);
  const pool = around.connections.pool(process);
  const forge = around.forge(process);
  const queues = await createQueuesOn(around.queueStore.backend(process), { log: around.log, clock });
  const common = {
    ...{ pool, queues, clock, log: around.log, forges: { github: forge }, isAllowedOwner: () => false },
    projects: { connect: unused, disconnect: unused, propose: unused, branch: unused },
  };
  const repositoryChanges = createRepositoryChanges(common);
  const counted = { inc: () => {}, startAtZero: async () => {} };
  const receiver = createDeliveryReceiver({ ...common, repositoryChanges, counted });
  const job = { id: 0, process, kind: 'receive', key: 'resume' };
  void currentJob.run(job, () => repositoryChanges.resume());
  return { process, forge, receiver };
}

/** A worker as others know it. */
export interface SimWorker {
  readonly process: SimProcess;
  /** It hears that somebody stands before an environment that is asleep (apps/worker/src/follow-wakes.ts). */
  hear(environmentId: string): void;
}

/** A worker with all its queues, as apps/worker wires them. */
export async function startWorker(around: Surroundings, process: SimProcess): Promise<SimWorker> {
  const { scheduler, calls, machine } = around;
  const clock = scheduler.clock(process);
  const forge = around.forge(process);
  const service = createService({ calls, machine, process });
  const queues = await createQueuesOn(around.queueStore.backend(process), { log: around.log, clock });
  const context: Context = {
    pool: around.connections.pool(process),
    databaseUrl: 'simulated',
    connect: () => around.connections.connect(process),
    clock,
    installationId: INSTALLATION,
    enqueue: (queue, key, options) => queues.enqueue(queue, key, options),
    forge: () => forge,
    sources: around.commits.sources(process),
    network: createNetwork({ calls, machine, watcher: around.watcher, process }),
    stepLogs: {
      open: async () => ({ line: () => {}, close: async () => {} }),
      remove: async () => {},
    },
    engine: machine.engine(process),
    storage: around.disk.storage(process),
    service: () => service,
    encryption: createEncryption({ current: new Secret('6b'.repeat(32)) }),
    signingKey: new Secret('signing'),
    attestationKeys: ATTESTATION_KEYS,
    directories: { mirrors: '/mirrors', dumps: '/dumps' },
    gateway: { host: '127.0.0.1', port: 1, probeToken: new Secret('probe') },
    linkKey: new Secret('link key'),
    previewUrl: 'http://*.localhost:8080',
    publicUrl: 'http://localhost:3000',
    mayReap: true,
    isolation: { ok: true },
    seclusion: { ok: true },
    buildSlots: createBuildSlots(2, () => {}),
    capacity: around.capacity(process),
    deadlines: DEADLINES,
    log: around.log,
  };
  const counter = { inc: () => {} };
  const mutated = around.mutation?.context?.(context) ?? context;
  // Where webhooks reach us there is nothing to poll: a look at nothing costs events.
  const every: typeof queues.every = (name, key, ms) =>
    key === 'poll' && !around.isPolling ? { stop: () => {} } : queues.every(name, key, ms);
  consumeAll(
    mutated,
    { reconciles: 4, resyncMs: RESYNC_MS },
    { ...queues, every },
    { counter: () => counter as never },
  );
  const job = { id: 0, process, kind: 'wakes', key: '' };
  // The gateway asks again for as long as somebody waits.
  const ring = (environmentId: string) => void mutated.enqueue('wake', environmentId).catch(() => {});
  const catchUp = () =>
    void listAskedToWake(mutated.pool).then(
      (ids) => ids.forEach(ring),
      () => {},
    );
  currentJob.run(job, catchUp);
  return { process, hear: (environmentId) => currentJob.run(job, () => ring(environmentId)) };
}

/** All that a gateway does to others: it tells of visits and asks for what sleeps. */
export function startGateway(
  around: Surroundings,
  process: SimProcess,
  workers: () => readonly SimWorker[],
): Gateway {
  const announceWake = (environmentId: string) => {
    for (const worker of workers()) around.scheduler.at(1, worker.process, () => worker.hear(environmentId));
  };
  return { process, pool: around.connections.pool(process), announceWake };
}

export const RESYNC_MS = 60_000;

/** Shorter than in production: waiting costs events, and shows nothing new. */
const DEADLINES = { buildMs: 60_000, hookMs: 60_000, serviceMs: 2_000, listenMs: 400, verifyMs: 2_000 };

async function unused(): Promise<never> {
  throw new Error('this part of the server is not simulated');
}
