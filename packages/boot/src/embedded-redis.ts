import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, realpath, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { BoughError } from '@bough/domain/bough-error';
import { isAlive, processIdentity } from '@bough/toolchain/process-identity';
import { isExecutable } from '@bough/toolchain/search-path';
import { type ResolvedToolchain, type Toolchain, toolchainEnvironment } from '@bough/toolchain/toolchain';
import { freePort, isPortFree } from './free-port.ts';
import type { BootLog } from './logger.ts';
import { readOrMake } from './private-file.ts';
import { endProcess, findServer, watchProcess } from './process-tree.ts';
import { redisCommand, redisVersion } from './redis-command.ts';
import { boundLogFile, emptyLogFile, logTail, withLogFile } from './server-log.ts';

export interface EmbeddedRedisOptions {
  /** `BOUGH_HOME/redis`; made when absent. */
  readonly home: string;
  readonly toolchain: Toolchain;
  /** Which server: any version of Redis or Valkey by default. */
  readonly want?: string | undefined;
  readonly port?: number | undefined;
  readonly log: BootLog;
  readonly signal?: AbortSignal | undefined;
}

export interface EmbeddedRedis {
  /** `redis://:…@127.0.0.1:<port>`. */
  readonly url: string;
  readonly port: number;
  readonly version: string;
  /** Whether it was running already, left by a Bough that was killed. */
  readonly wasAdopted: boolean;
  /** Settles when the server dies although nobody stopped it. */
  readonly died: Promise<void>;
  stop(): Promise<void>;
}

const commands = ['redis-server', 'valkey-server'];
const startTimeoutMs = 30_000;
const startAttempts = 5;

/**
 * Bough's own Redis, on 127.0.0.1 only, with a password, writing an append-only file. It outlives a `kill -9` of Bough.
 * Redis itself would let two servers write one directory, so a running one is looked for by its working directory,
 * which no window between its start and a pid file can hide.
 */
export async function startEmbeddedRedis(options: EmbeddedRedisOptions): Promise<EmbeddedRedis> {
  const place = await preparePlace(options);
  const running = await findServer(commands, place.data);
  const adopted = running === undefined ? undefined : await adopt(place, running);
  return (
    adopted ?? start(place, await place.toolchain.resolve(place.want ?? 'redis', { signal: place.signal }))
  );
}

interface Place extends EmbeddedRedisOptions {
  readonly data: string;
  readonly configFile: string;
  readonly logFile: string;
  readonly portFile: string;
  readonly password: string;
}

async function preparePlace(options: EmbeddedRedisOptions): Promise<Place> {
  await mkdir(join(options.home, 'data'), { recursive: true, mode: 0o700 });
  return {
    ...options,
    // As the kernel will report it of the running server.
    data: await realpath(join(options.home, 'data')),
    configFile: join(options.home, 'redis.conf'),
    logFile: join(options.home, 'redis.log'),
    portFile: join(options.home, 'port'),
    password: await readOrMake(join(options.home, 'password'), () => randomBytes(24).toString('base64url')),
  };
}

async function adopt(place: Place, identity: string): Promise<EmbeddedRedis | undefined> {
  const port = await lastPort(place);
  const deadline = Date.now() + startTimeoutMs;
  while (port !== undefined && (await isAlive(identity)) && Date.now() < deadline) {
    if (await answers(place, port)) {
      place.log.info({ port }, 'embedded redis adopted');
      return open(place, identity, port, true);
    }
    await delay(50, undefined, { signal: place.signal });
  }
  // Nobody knows how to reach it, so nobody uses it: it must end before another may open its files.
  await endServer(identity);
  return undefined;
}

async function start(place: Place, tool: ResolvedToolchain): Promise<EmbeddedRedis> {
  for (let attempt = 1; attempt <= startAttempts; attempt += 1) {
    const port = await choosePort(place, attempt);
    await writeFile(place.portFile, `${port}\n`, { mode: 0o600 });
    await writeFile(place.configFile, configuration(place, port), { mode: 0o600 });
    const identity = await launch(place, tool, port);
    if (identity !== undefined) return open(place, identity, port, false);
    place.signal?.throwIfAborted();
  }
  throw new BoughError({
    code: 'redis-start-failed',
    message: 'The embedded Redis does not start.',
    hint: `Its log is ${place.logFile}. REDIS_URL uses another server instead.`,
    tail: await logTail(place.logFile),
    retryable: true,
  });
}

async function choosePort(place: Place, attempt: number): Promise<number> {
  if (place.port) return place.port;
  const last = await lastPort(place);
  return last !== undefined && attempt === 1 && (await isPortFree(last)) ? last : freePort();
}

async function lastPort(place: Place): Promise<number | undefined> {
  const port = Number((await readFile(place.portFile, 'utf8').catch(() => '')).trim());
  return Number.isSafeInteger(port) && port > 0 && port < 65_536 ? port : undefined;
}

/** Starts the server; undefined when it ended before it answered. */
async function launch(place: Place, tool: ResolvedToolchain, port: number): Promise<string | undefined> {
  await emptyLogFile(place.logFile);
  const file = await serverBinary(tool);
  const child = await withLogFile(place.logFile, async (fd) =>
    spawn(file, [place.configFile], {
      stdio: ['ignore', fd, fd],
      cwd: place.data,
      env: { ...toolchainEnvironment([tool]), LC_ALL: 'C' },
      detached: true,
    }),
  );
  let hasEnded = child.pid === undefined;
  child.once('error', () => {
    hasEnded = true;
  });
  child.once('exit', () => {
    hasEnded = true;
  });
  child.unref();
  const identity = child.pid === undefined ? undefined : await processIdentity(child.pid);
  const deadline = Date.now() + startTimeoutMs;
  while (!hasEnded && identity !== undefined && Date.now() < deadline && !place.signal?.aborted) {
    if (await answers(place, port)) return identity;
    await delay(20);
  }
  if (identity !== undefined) await endServer(identity);
  return undefined;
}

async function serverBinary(tool: ResolvedToolchain): Promise<string> {
  for (const file of commands.flatMap((command) => tool.bin.map((directory) => join(directory, command)))) {
    if (await isExecutable(file)) return file;
  }
  throw new BoughError({
    code: 'redis-start-failed',
    message: `There is no redis-server in ${tool.bin.join(', ')}.`,
    hint: 'Run `bough doctor`.',
  });
}

/** In a file of mode 0600, because command lines are everybody's to read. BullMQ requires that nothing is evicted. */
function configuration(place: Place, port: number): string {
  return `bind 127.0.0.1
port ${port}
protected-mode yes
requirepass ${place.password}
dir "${place.data}"
daemonize no
set-proc-title no
appendonly yes
appendfsync everysec
save ""
maxmemory 512mb
maxmemory-policy noeviction
databases 16
loglevel notice
logfile ""
`;
}

async function open(
  place: Place,
  identity: string,
  port: number,
  wasAdopted: boolean,
): Promise<EmbeddedRedis> {
  const url = urlOf(place, port);
  const version = await redisVersion(url);
  const stopBounding = boundLogFile(place.logFile);
  let stopWatching = () => {};
  const died = new Promise<void>((resolve) => {
    stopWatching = watchProcess(identity, resolve);
  });
  return {
    url,
    port,
    version,
    wasAdopted,
    died,
    async stop() {
      stopWatching();
      stopBounding();
      await endServer(identity);
    },
  };
}

async function endServer(identity: string): Promise<void> {
  const steps = [
    { signal: 'SIGTERM', waitMs: 15_000 },
    { signal: 'SIGKILL', waitMs: 5_000 },
  ] as const;
  if (await endProcess(identity, steps)) return;
  throw new BoughError({
    code: 'redis-unstoppable',
    message: `The embedded Redis (process ${Number.parseInt(identity, 10)}) does not end, not even when killed.`,
    hint: 'Its disk may hang: look at dmesg.',
  });
}

async function answers(place: Place, port: number): Promise<boolean> {
  return redisCommand(urlOf(place, port), ['PING']).then(
    (reply) => reply === 'PONG',
    () => false,
  );
}

function urlOf(place: Place, port: number): string {
  return `redis://:${encodeURIComponent(place.password)}@127.0.0.1:${port}`;
}
