import { readFile, rm, statfs } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { embeddedPackageDirectories } from '@bough/boot/embedded-toolchain';
import type { BoughHome } from '@bough/boot/home';
import { linkKey } from '@bough/boot/link-key';
import { probeToken } from '@bough/boot/probe-token';
import { BoughError } from '@bough/domain/bough-error';
import { systemClock } from '@bough/domain/clock';
import { defaultBuildEnvironment } from '@bough/engine/process/build-environment';
import { createProcessEngine } from '@bough/engine/process/engine';
import type { Forge } from '@bough/forge/forge';
import { createMirrors } from '@bough/forge/git/mirrors';
import { createSources } from '@bough/forge/git/sources';
import { createGitHubForge } from '@bough/forge/github/forge';
import type { Queues } from '@bough/queue/queue';
import type { Capacity } from '@bough/reconcile/admit';
import { createShelves } from '@bough/reconcile/budgets/shelves';
import { createBuildSlots } from '@bough/reconcile/build-slots';
import { type Context, DEFAULT_DEADLINES, type Log } from '@bough/reconcile/context';
import { readServerSchema } from '@bough/reconcile/data/parent-schema';
import { systemNetwork } from '@bough/reconcile/network';
import { createStepLogs } from '@bough/reconcile/step-log';
import { serviceFor } from '@bough/service/registry';
import { mountPool } from '@bough/storage/pool/mount-pool';
import { chooseStorage } from '@bough/storage/probe';
import type { ToolPlaces } from '@bough/storage/run-tool';
import { createEncryption } from '@bough/store/encryption';
import { claimInstallation, writeStorageChoice } from '@bough/store/installation';
import { createToolchain, type Toolchain, toolchainEnvironment } from '@bough/toolchain/toolchain';
import pg from 'pg';
import type { WorkerConfig } from './config.ts';
import { createFaultPoint } from './fault-point.ts';
import { defaultReserves, measureMachine } from './measure-machine.ts';

/** Chooses the implementations (this is the one place that names them) and hands them on as one context. */
export async function makeContext(
  config: WorkerConfig,
  given: {
    home: BoughHome;
    pool: pg.Pool;
    queues: Queues;
    log: Log & Parameters<typeof createGitHubForge>[0]['log'];
  },
): Promise<Context> {
  const { home, log, pool, queues } = given;
  const toolchain = createToolchain({
    home: home.directories.toolchains,
    env: config.environment,
    log,
    packageDirectories: embeddedPackageDirectories(),
  });
  const git = await toolchain.resolve('git');
  const gitCommand = { command: join(git.bin[0] ?? '', 'git'), env: toolchainEnvironment([git]) };
  const engine = await createProcessEngine({
    home: home.path,
    installationId: home.installationId,
    toolchain,
    log,
    buildEnvironment: await buildEnvironment(config),
  });
  const isolation = await engine.probeIsolation();
  const seclusion = await engine.probeSeclusion();
  await mountPool(home.path);
  const { storage, tried } = await chooseStorage({
    root: home.directories.volumes,
    want: config.storage,
    installationId: home.installationId,
    ...(config.warmCopies === undefined ? {} : { warmCopies: config.warmCopies }),
    places: await fileSystemTools(toolchain, home.directories.volumes),
    log,
  });
  const mayReapHere = await mayReap(given, home);
  await writeStorageChoice(pool, { kind: storage.kind, tried });
  const checkouts = join(home.directories.tmp, 'checkouts');
  // Whatever is there was left by a worker that died: sources are read anew for every build.
  await rm(checkouts, { recursive: true, force: true });
  const stepLogs = createStepLogs(home.directories.logs);
  const mirrors = createMirrors(gitCommand, home.directories.mirrors);
  const github = config.github && createGitHubForge({ ...config.github, log, gitCommand });
  return {
    pool,
    databaseUrl: config.databaseUrl,
    connect: (settings) => new pg.Client(settings),
    clock: systemClock,
    installationId: home.installationId,
    enqueue: (queue, key, options) => queues.enqueue(queue, key, options),
    forge: (kind) => forgeFor(kind, github),
    sources: createSources(gitCommand, checkouts),
    network: systemNetwork,
    stepLogs,
    engine,
    storage,
    service: serviceFor,
    tools: async (want) => {
      const found = await toolchain.resolve(want);
      return { bin: found.bin, env: toolchainEnvironment([found]) };
    },
    readSchema: readServerSchema,
    encryption: createEncryption({ current: home.masterKey, former: home.formerMasterKeys }),
    signingKey: home.signingKey,
    attestationKeys: home.attestationKeys,
    directories: { mirrors: home.directories.mirrors, dumps: join(home.path, 'dumps') },
    gateway: { ...config.gateway, probeToken: probeToken(home.masterKey) },
    linkKey: linkKey(home.masterKey),
    previewUrl: config.previewUrl,
    publicUrl: config.publicUrl,
    mayReap: mayReapHere,
    isolation,
    seclusion,
    buildSlots: createBuildSlots(config.builds, (ids) => {
      for (const id of ids)
        void queues.enqueue('reconcile', id).catch((error: unknown) => {
          log.warn(
            { environmentId: id, error },
            'whoever is next to build was not called; it asks again by itself',
          );
        });
    }),
    capacity: await capacityOf(config, [home.path, home.directories.volumes]),
    shelves: createShelves(config.budgets, {
      ...{ pool, engine, storage, mirrors, stepLogs },
      logs: home.directories.logs,
    }),
    deadlines: { ...DEFAULT_DEADLINES, listenMs: config.listenTimeoutMs, buildMs: config.buildTimeoutMs },
    log,
    faultPoint: config.faultDirectory === undefined ? undefined : createFaultPoint(config.faultDirectory),
  };
}

async function capacityOf(config: WorkerConfig, directories: readonly string[]): Promise<Capacity> {
  const reserves = await defaultReserves(directories);
  return {
    maxAwake: config.maxAwake,
    memoryReserveBytes: config.memoryReserveBytes ?? reserves.memoryBytes,
    diskReserveBytes: config.diskReserveBytes ?? reserves.diskBytes,
    memoryPerPreviewBytes: config.memoryPerPreviewBytes,
    minAwakeMs: config.minAwakeMs,
    measure: () => measureMachine(directories),
  };
}

const BTRFS_MAGIC = 0x9123683e;

/** On btrfs its command is needed; where the machine has none, Debian's is unpacked. Without it reflinks will do. */
async function fileSystemTools(toolchain: Toolchain, directory: string): Promise<ToolPlaces | undefined> {
  if ((await statfs(directory)).type !== BTRFS_MAGIC) return undefined;
  return toolchain.resolve('btrfs-progs').catch(() => undefined);
}

async function mayReap({ pool, log }: { pool: pg.Pool; log: Log }, home: BoughHome): Promise<boolean> {
  const { id, isOurs } = await claimInstallation(pool, home.installationId);
  if (isOurs) return true;
  log.error(
    { database: id, home: home.installationId },
    'this database belongs to another installation, so nothing will be reaped; use the BOUGH_HOME that goes with it',
  );
  return false;
}

async function buildEnvironment(config: WorkerConfig) {
  const found = await defaultBuildEnvironment(config.environment, homedir());
  if (config.buildNpmrc === undefined) return found;
  return { ...found, npmrc: await readFile(config.buildNpmrc, 'utf8') };
}

function forgeFor(kind: string, github: Forge | null): Forge {
  if (kind === 'github' && github !== null) return github;
  throw new BoughError({
    code: 'forge-not-configured',
    message: 'Nothing connects Bough to GitHub.',
    hint: 'Set GITHUB_TOKEN, or GITHUB_APP_ID and GITHUB_APP_PRIVATE_KEY, and start again.',
    retryable: true,
  });
}
