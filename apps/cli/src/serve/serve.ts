import { startEmbeddedPostgres } from '@bough/boot/embedded-postgres';
import { embeddedPackageDirectories } from '@bough/boot/embedded-toolchain';
import { freePort, isPortFree } from '@bough/boot/free-port';
import { type BoughHome, claimHome, openHome } from '@bough/boot/home';
import type { BootLog } from '@bough/boot/logger';
import { migrate } from '@bough/boot/migrate';
import { openQueueStore } from '@bough/boot/queue-store';
import { boundLogFile } from '@bough/boot/server-log';
import type { Shutdown } from '@bough/boot/signals';
import { BoughError } from '@bough/domain/bough-error';
import { createToolchain, type Toolchain } from '@bough/toolchain/toolchain';
import { migrationsDirectory } from '../migrations-directory.ts';
import { type Child, startChild } from './child.ts';
import type { ServeConfig } from './config.ts';
import { writeRunning } from './running.ts';

export interface Serving {
  readonly home: BoughHome;
  readonly serverUrl: string;
  readonly publicUrl: string;
  readonly previewUrl: string;
  readonly gatewayPort: number;
  readonly databaseUrl: string;
  readonly queueStore: string;
  readonly children: Readonly<Record<'server' | 'worker' | 'gateway', Child>>;
}

/**
 * Everything in one go: databases of its own unless the operator names others, then server, worker and gateway as
 * processes of their own. What is started is stopped by `shutdown`, last started first. Running environments are left
 * alone: they survive a restart of Bough.
 */
export async function serve(
  config: ServeConfig,
  shutdown: Shutdown,
  log: BootLog,
  onProgress: (text: string) => void = () => {},
): Promise<Serving> {
  const { signal } = shutdown;
  const home = await openHome({
    path: config.home,
    adminToken: config.adminToken,
    masterKey: config.masterKey,
  });
  shutdown.onShutdown('home', await claimHome(home.path));
  const ports = {
    server: await choosePort(config.port, 'BOUGH_PORT'),
    gateway: await choosePort(config.gatewayPort, 'BOUGH_GATEWAY_PORT'),
  };
  const toolchain = createToolchain({
    home: home.directories.toolchains,
    env: config.environment,
    log,
    packageDirectories: embeddedPackageDirectories(),
  });

  onProgress('starting Postgres');
  const databaseUrl = config.databaseUrl ?? (await embeddedPostgres(home, toolchain, shutdown, log));
  onProgress('starting the queue store');
  const queueStore = await openQueueStore({
    redisUrl: config.redisUrl,
    databaseUrl,
    home: home.directories.redis,
    toolchain,
    log,
    signal,
  });
  shutdown.onShutdown('queue store', () => queueStore.stop());
  log.info({ why: queueStore.why }, 'queue store');
  await migrate({
    url: databaseUrl,
    directory: migrationsDirectory,
    signal,
  });

  const previewUrl = config.previewUrl ?? `http://*.localhost:${ports.gateway}`;
  const publicUrl = config.publicUrl ?? `http://localhost:${ports.server}`;
  const environment = {
    ...config.environment,
    BOUGH_HOME: home.path,
    DATABASE_URL: databaseUrl,
    REDIS_URL: queueStore.kind === 'redis' ? queueStore.url : undefined,
    BOUGH_PORT: String(ports.server),
    BOUGH_GATEWAY_PORT: String(ports.gateway),
    BOUGH_PREVIEW_URL: previewUrl,
    BOUGH_PUBLIC_URL: publicUrl,
  };
  onProgress('starting server, worker and gateway');
  if (config.logFile !== undefined) shutdown.onShutdown('log file', boundLogFile(config.logFile));
  const start = (name: 'server' | 'worker' | 'gateway') => {
    const child = startChild({
      name,
      main: new URL(`../../../${name}/src/main.ts`, import.meta.url),
      environment,
      logFile: config.logFile,
      log,
    });
    shutdown.onShutdown(name, () => child.stop());
    return child;
  };
  // Stopped in the reverse order: first what takes new work in, the gateway's visitors last.
  const gateway = start('gateway');
  const worker = start('worker');
  const server = start('server');
  await Promise.all([gateway.ready, worker.ready, server.ready]);
  const serverUrl = `http://127.0.0.1:${ports.server}`;
  shutdown.onShutdown(
    'running file',
    await writeRunning(home.path, { serverUrl, publicUrl, pid: process.pid }),
  );
  return {
    home,
    serverUrl,
    publicUrl,
    previewUrl,
    gatewayPort: ports.gateway,
    databaseUrl,
    queueStore: queueStore.why,
    children: { server, worker, gateway },
  };
}

async function embeddedPostgres(
  home: BoughHome,
  toolchain: Toolchain,
  shutdown: Shutdown,
  log: BootLog,
): Promise<string> {
  const postgres = await startEmbeddedPostgres({
    home: home.directories.postgres,
    toolchain,
    log,
    signal: shutdown.signal,
  });
  shutdown.onShutdown('postgres', () => postgres.stop());
  log.info({ version: postgres.version, adopted: postgres.wasAdopted }, 'postgres is ready');
  return postgres.url;
}

/** 0 = any free one. A port that somebody else has is said now, not in a child's log. */
async function choosePort(wanted: number, variable: string): Promise<number> {
  if (wanted === 0) return await freePort();
  if (await isPortFree(wanted)) return wanted;
  throw new BoughError({
    code: 'port-taken',
    message: `Port ${wanted} is taken by another program.`,
    hint: `Set ${variable} to another port (0 takes any free one).`,
  });
}
