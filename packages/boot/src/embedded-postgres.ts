import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { BoughError } from '@bough/domain/bough-error';
import { isAlive, processIdentity } from '@bough/toolchain/process-identity';
import { type ResolvedToolchain, type Toolchain, toolchainEnvironment } from '@bough/toolchain/toolchain';
import pg from 'pg';
import { freePort, isPortFree } from './free-port.ts';
import type { BootLog } from './logger.ts';
import { readOrMake } from './private-file.ts';
import { endProcess, waitForExit, watchProcess } from './process-tree.ts';
import { boundLogFile, emptyLogFile, logTail, withLogFile } from './server-log.ts';
import { type CommandLine, unprivileged, type Wrap } from './unprivileged.ts';

export interface EmbeddedPostgresOptions {
  /** `BOUGH_HOME/postgres`; made when absent. */
  readonly home: string;
  readonly toolchain: Toolchain;
  /** The port to use; 0 or none: the one of last time, else any free one. */
  readonly port?: number | undefined;
  /** PostgreSQL's major for a new data directory. An existing one keeps its own. */
  readonly major?: number | undefined;
  /** False only for tests: gives up durability for speed. */
  readonly isDurable?: boolean | undefined;
  readonly log: BootLog;
  readonly signal?: AbortSignal | undefined;
}

export interface EmbeddedPostgres {
  /** `postgres://bough:…@127.0.0.1:<port>/bough`. The role is a superuser. */
  readonly url: string;
  readonly port: number;
  /** As the server says it. */
  readonly version: string;
  /** Whether it was running already, left by a Bough that was killed. */
  readonly wasAdopted: boolean;
  /** Settles when the server dies although nobody stopped it. */
  readonly died: Promise<void>;
  /** Fast shutdown: open transactions are rolled back, everything committed is on disk, no process remains. */
  stop(): Promise<void>;
}

const defaultMajor = 17;
const startTimeoutMs = 60_000;
const startAttempts = 5;

/**
 * Bough's own PostgreSQL, on 127.0.0.1 only, with a password. It is started in a session of its own and outlives a
 * `kill -9` of Bough, whose next start finds it by its data directory and goes on with it.
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const place = await preparePlace(options);
  const running = await findRunning(place);
  if (running) return adopt(place, running);
  return start(place, await prepareTools(place));
}

interface Place extends EmbeddedPostgresOptions {
  readonly data: string;
  readonly logFile: string;
  readonly portFile: string;
  readonly passwordFile: string;
  readonly password: string;
}

interface Tools {
  readonly postgres: ResolvedToolchain;
  readonly wrap: Wrap;
}

interface Running {
  readonly identity: string;
  readonly port: number;
}

async function preparePlace(options: EmbeddedPostgresOptions): Promise<Place> {
  await mkdir(options.home, { recursive: true, mode: 0o700 });
  const passwordFile = join(options.home, 'password');
  return {
    ...options,
    data: join(options.home, 'data'),
    logFile: join(options.home, 'postgres.log'),
    portFile: join(options.home, 'port'),
    passwordFile,
    password: await readOrMake(passwordFile, () => randomBytes(24).toString('base64url')),
  };
}

async function prepareTools(place: Place): Promise<Tools> {
  const major = (await readFile(join(place.data, 'PG_VERSION'), 'utf8').catch(() => '')).trim();
  const want = `postgresql:${major || (place.major ?? defaultMajor)}`;
  const postgres = await place.toolchain.resolve(want, { signal: place.signal });
  const wrap = await unprivileged(place.toolchain, place.signal);
  if (major === '') await initialise(place, { postgres, wrap });
  return { postgres, wrap };
}

/** initdb works beside the final place and a rename ends it, so that a kill half-way leaves no half data directory. */
async function initialise(place: Place, tools: Tools): Promise<void> {
  await removeUnfinished(place.home);
  const unfinished = join(place.home, `initialising-${randomBytes(4).toString('hex')}`);
  const args = [
    '-D',
    unfinished,
    '--username=bough',
    '--auth=scram-sha-256',
    `--pwfile=${place.passwordFile}`,
  ];
  args.push('--encoding=UTF8', '--locale=C', ...(place.isDurable === false ? ['--no-sync'] : []));
  const startedAt = performance.now();
  await emptyLogFile(place.logFile);
  const code = await runToEnd(place, tools, [join(tools.postgres.prefix, 'bin/initdb'), ...args]);
  if (code !== 0) throw await startFailure(place, 'initdb failed');
  await rename(unfinished, place.data);
  place.log.info({ durationMs: Math.round(performance.now() - startedAt) }, 'postgres data directory made');
}

async function removeUnfinished(home: string): Promise<void> {
  for (const name of await readdir(home)) {
    if (name.startsWith('initialising-')) await rm(join(home, name), { recursive: true, force: true });
  }
}

async function runToEnd(place: Place, tools: Tools, command: CommandLine): Promise<number | null> {
  return withLogFile(place.logFile, async (fd) => {
    const [file, ...args] = tools.wrap(command, 'ends-with-us');
    const child = spawn(file, args, {
      stdio: ['ignore', fd, fd],
      cwd: place.home,
      env: serverEnvironment(tools),
      timeout: startTimeoutMs,
      signal: place.signal,
    });
    return new Promise<number | null>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', resolve);
    });
  });
}

async function start(place: Place, tools: Tools): Promise<EmbeddedPostgres> {
  await removeForeignPidFile(place);
  const deadline = Date.now() + startTimeoutMs;
  for (let attempt = 1; ; attempt += 1) {
    const port = await choosePort(place, attempt);
    const running = await launch(place, tools, port, deadline);
    if (running) {
      await writeFile(place.portFile, `${port}\n`, { mode: 0o600 });
      return open(place, running, false);
    }
    place.signal?.throwIfAborted();
    if (attempt >= startAttempts || Date.now() > deadline) {
      throw await startFailure(place, 'The embedded PostgreSQL does not start');
    }
    // A port taken between the question and the start, or the last backends of a server that was killed.
    await delay(200 * attempt, undefined, { signal: place.signal });
  }
}

async function choosePort(place: Place, attempt: number): Promise<number> {
  if (place.port) return place.port;
  const last = Number((await readFile(place.portFile, 'utf8').catch(() => '')).trim());
  const isUsable = Number.isSafeInteger(last) && last > 0 && last < 65_536 && attempt < 3;
  return isUsable && (await isPortFree(last)) ? last : freePort();
}

/** Starts the server; undefined when it ended before it answered. */
async function launch(
  place: Place,
  tools: Tools,
  port: number,
  deadline: number,
): Promise<Running | undefined> {
  await emptyLogFile(place.logFile);
  const command: CommandLine = [join(tools.postgres.prefix, 'bin/postgres'), ...serverArguments(place, port)];
  const [file, ...args] = tools.wrap(command, 'outlives-us');
  const child = await withLogFile(place.logFile, async (fd) =>
    spawn(file, args, {
      stdio: ['ignore', fd, fd],
      cwd: place.home,
      env: serverEnvironment(tools),
      detached: true,
    }),
  );
  let hasEnded = false;
  child.once('error', () => {
    hasEnded = true;
  });
  child.once('exit', () => {
    hasEnded = true;
  });
  child.unref();
  while (!hasEnded && Date.now() < deadline && !place.signal?.aborted) {
    const running = await findRunning(place);
    if (running?.port === port && (await answers(place, running))) return running;
    await delay(20);
  }
  const late = await findRunning(place);
  if (late) await endServer(late.identity);
  return undefined;
}

function serverArguments(place: Place, port: number): string[] {
  const settings: Record<string, string | number> = {
    listen_addresses: '127.0.0.1',
    port,
    unix_socket_directories: '',
    max_connections: 200,
    superuser_reserved_connections: 3,
    shared_buffers: '48MB',
    max_wal_size: '256MB',
    min_wal_size: '48MB',
    // Nobody replicates Bough's own database.
    wal_level: 'minimal',
    max_wal_senders: 0,
    max_parallel_workers_per_gather: 0,
    jit: 'off',
    timezone: 'UTC',
    log_timezone: 'UTC',
    log_min_messages: 'warning',
    ...(place.isDurable === false
      ? {
          fsync: 'off',
          synchronous_commit: 'off',
          full_page_writes: 'off',
          // For the simulator, to whom a round trip is everything. Only in a directory that is the server's own.
          unix_socket_directories: place.data,
        }
      : {}),
  };
  return [
    '-D',
    place.data,
    ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
  ];
}

/** Nothing of the operator's environment reaches the server. */
function serverEnvironment(tools: Tools): Record<string, string> {
  return { ...toolchainEnvironment([tools.postgres]), LC_ALL: 'C', TZ: 'UTC' };
}

/** The server of this data directory, if it lives: postmaster.pid says so and so does the process itself. */
async function findRunning(place: Place): Promise<Running | undefined> {
  const lines = (await readFile(join(place.data, 'postmaster.pid'), 'utf8').catch(() => '')).split('\n');
  const [pid, directory, port] = [Number(lines[0]), lines[1], Number(lines[3])];
  if (!Number.isSafeInteger(pid) || pid <= 1 || directory !== place.data || !Number.isSafeInteger(port))
    return undefined;
  const identity = await processIdentity(pid);
  return identity !== undefined && (await isServerOf(pid, place)) ? { identity, port } : undefined;
}

async function isServerOf(pid: number, place: Place): Promise<boolean> {
  const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  const words = command.split('\0');
  return (words[0] ?? '').endsWith('/postgres') && words.includes(place.data);
}

/** After a reboot the pid in the file may be anybody's, and PostgreSQL would refuse to start beside a stranger. */
async function removeForeignPidFile(place: Place): Promise<void> {
  if (!(await findRunning(place))) await rm(join(place.data, 'postmaster.pid'), { force: true });
}

async function adopt(place: Place, running: Running): Promise<EmbeddedPostgres> {
  const deadline = Date.now() + startTimeoutMs;
  while (await isAlive(running.identity)) {
    if (await answers(place, running)) {
      place.log.info({ port: running.port }, 'embedded postgres adopted');
      return open(place, running, true);
    }
    place.signal?.throwIfAborted();
    if (Date.now() > deadline)
      throw await startFailure(place, 'The embedded PostgreSQL runs but does not answer');
    await delay(50);
  }
  // It was on its way down.
  return start(place, await prepareTools(place));
}

async function open(place: Place, running: Running, wasAdopted: boolean): Promise<EmbeddedPostgres> {
  const version = await prepareDatabase(place, running);
  const stopBounding = boundLogFile(place.logFile);
  let stopWatching = () => {};
  const died = new Promise<void>((resolve) => {
    stopWatching = watchProcess(running.identity, resolve);
  });
  return {
    url: urlOf(place, running.port, 'bough'),
    port: running.port,
    version,
    wasAdopted,
    died,
    async stop() {
      stopWatching();
      stopBounding();
      await endServer(running.identity);
    },
  };
}

/** SIGINT is PostgreSQL's fast shutdown, SIGQUIT its immediate one, from which the next start recovers. */
async function endServer(identity: string): Promise<void> {
  const steps = [
    { signal: 'SIGINT', waitMs: 30_000 },
    { signal: 'SIGQUIT', waitMs: 5_000 },
    { signal: 'SIGKILL', waitMs: 5_000 },
  ] as const;
  if (!(await endProcess(identity, steps))) {
    throw new BoughError({
      code: 'postgres-unstoppable',
      message: `The embedded PostgreSQL (process ${Number.parseInt(identity, 10)}) does not end, not even when killed.`,
      hint: 'Its disk may hang: look at dmesg.',
    });
  }
  await waitForExit(identity, 1_000);
}

async function answers(place: Place, running: Running): Promise<boolean> {
  return query(urlOf(place, running.port, 'postgres'), 'select 1').then(
    () => true,
    () => false,
  );
}

async function prepareDatabase(place: Place, running: Running): Promise<string> {
  const url = urlOf(place, running.port, 'postgres');
  const rows = await query(
    url,
    "select current_setting('server_version') as version, exists(select from pg_database where datname = 'bough') as exists",
  );
  if (rows[0]?.exists !== true) await query(url, 'create database bough');
  return String(rows[0]?.version);
}

async function query(url: string, text: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({
    connectionString: url,
    connectionTimeoutMillis: 5_000,
    query_timeout: 30_000,
  });
  client.on('error', () => {});
  try {
    await client.connect();
    return (await client.query(text)).rows;
  } finally {
    await client.end().catch(() => undefined);
  }
}

function urlOf(place: Place, port: number, database: string): string {
  return `postgres://bough:${encodeURIComponent(place.password)}@127.0.0.1:${port}/${database}`;
}

async function startFailure(place: Place, what: string): Promise<BoughError> {
  return new BoughError({
    code: 'postgres-start-failed',
    message: `${what}.`,
    hint: `Its log is ${place.logFile}. \`bough doctor\` looks for the usual causes; DATABASE_URL uses another server instead.`,
    tail: await logTail(place.logFile),
    retryable: true,
  });
}
