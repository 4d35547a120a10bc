import { spawn } from 'node:child_process';
import { access, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { BoughError } from '@bough/domain/bough-error';
import { processIdentity } from '@bough/toolchain/process-identity';
import type { Group } from './cgroup.ts';
import type { Door } from './door/door.ts';
import { parseRecord, recordVariables, type WorkloadRecord } from './labels.ts';
import { argumentFile, type Bubblewrap } from './launch.ts';
import { ownedName } from './owner.ts';
import { environmentOf } from './process-table.ts';
import { removeTree } from './remove-tree.ts';

const script = fileURLToPath(new URL('./supervisor.sh', import.meta.url));
const startTimeoutMs = 10_000;
const statusPollMs = 3;
/** In the place of a supervisor's identity: it was stopped to the last process, and nothing was started since. */
const NOBODY = 'nobody';

/** One workload's own directory: its record, bubblewrap's arguments, its status and its log. */
export function stateDirectory(home: string, id: string): string {
  return join(home, 'engine/workloads', id);
}

export interface SupervisorStart {
  readonly directory: string;
  readonly record: WorkloadRecord;
  readonly args: readonly string[];
  readonly bubblewrap: Bubblewrap;
  readonly group: Group;
  /** Of a sandbox with a network of its own. */
  readonly door: Door | undefined;
  readonly logBytes: number;
}

export interface SupervisorStatus {
  /** `stopping` also when whoever stopped it was killed meanwhile. */
  readonly state: 'running' | 'restarting' | 'port-taken' | 'stopping' | 'stopped';
  readonly restarts: number;
  readonly exitCode?: number;
  readonly startedAt?: Date;
}

/** Starts the supervisor and returns when it has taken over. From then on it does not need this process. */
export async function startSupervisor(start: SupervisorStart): Promise<void> {
  const { directory, record } = start;
  const stale = ['status', 'stopping', 'supervisor'];
  await Promise.all([
    writeFile(join(directory, 'args'), argumentFile(start.bubblewrap, start.args), { mode: 0o600 }),
    ...stale.map((name) => rm(join(directory, name), { force: true })),
    writeRecord(directory, record),
  ]);
  const child = spawn('/bin/sh', [script, record.id], {
    cwd: '/',
    detached: true,
    stdio: 'ignore',
    env: {
      ...recordVariables(record),
      PATH: '/usr/bin:/bin',
      BOUGH_STATE: directory,
      BOUGH_BWRAP: start.bubblewrap.file,
      BOUGH_BWRAP_LIBRARIES: start.bubblewrap.libraries,
      BOUGH_GROUPS: start.group.directories.join(' '),
      BOUGH_OOM_FILE: start.group.memoryEventsFile ?? '',
      BOUGH_LOG_BYTES: String(start.logBytes),
      BOUGH_STARTED_AT: String(Math.floor(Date.now() / 1000)),
      ...start.door?.variables,
    },
  });
  let exited = false;
  child.once('error', () => (exited = true));
  child.once('exit', () => (exited = true));
  child.unref();
  const identity = child.pid === undefined ? undefined : await processIdentity(child.pid);
  if (identity !== undefined) await writeFile(join(directory, 'supervisor'), identity);
  const deadline = Date.now() + startTimeoutMs;
  while ((await readStatus(directory)) === undefined) {
    if (exited || Date.now() > deadline) throw notStarted(record.id, directory);
    await delay(statusPollMs);
  }
  // Both its ends are open now.
  await rm(join(directory, 'pipe'), { force: true });
}

/**
 * The environment of the supervisor that was started last, if it lives, or that there is none. Both spare a look at every
 * process there is; undefined says that only such a look can tell.
 */
export async function supervisorEnvironment(
  directory: string,
): Promise<Record<string, string> | typeof NOBODY | undefined> {
  const identity = await readFile(join(directory, 'supervisor'), 'utf8').catch(() => '');
  if (identity === NOBODY) return NOBODY;
  return /^\d+:\d+$/.test(identity) ? environmentOf(identity) : undefined;
}

/** For whoever stopped it and saw that nothing of it is left. */
export async function noteNobody(directory: string): Promise<void> {
  await writeFile(join(directory, 'supervisor'), NOBODY);
}

export async function readStatus(directory: string): Promise<SupervisorStatus | undefined> {
  const text = await readFile(join(directory, 'status'), 'utf8').catch(() => '');
  const [state, restarts, code, started] = text.trim().split(' ');
  const known = states.find((name) => name === state);
  if (known === undefined) return undefined;
  return {
    state: (await isStopping(directory)) ? 'stopping' : known,
    restarts: Number(restarts),
    ...(code === '-' || code === undefined ? {} : { exitCode: Number(code) }),
    ...(started === '-' || started === undefined ? {} : { startedAt: new Date(Number(started) * 1000) }),
  };
}

const states = ['running', 'restarting', 'port-taken', 'stopped'] as const;

/** Written down first: a workload that is half stopped must not be taken for one that runs. */
export async function markStopping(directory: string): Promise<void> {
  await writeFile(join(directory, 'stopping'), '').catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
}

async function isStopping(directory: string): Promise<boolean> {
  return access(join(directory, 'stopping')).then(
    () => true,
    () => false,
  );
}

/** Kept in the form of the supervisor's own environment, so that there is one way to read a record. */
export async function writeRecord(directory: string, record: WorkloadRecord): Promise<void> {
  const file = join(directory, 'record.json');
  await writeFile(`${file}.new`, JSON.stringify(recordVariables(record)), { mode: 0o600 });
  await rename(`${file}.new`, file);
}

export async function readRecord(directory: string): Promise<WorkloadRecord | undefined> {
  try {
    const parsed: unknown = JSON.parse(await readFile(join(directory, 'record.json'), 'utf8'));
    return typeof parsed === 'object' && parsed !== null ? parseRecord(stringsOf(parsed)) : undefined;
  } catch {
    return undefined;
  }
}

function stringsOf(value: object): Record<string, string> {
  return Object.fromEntries(
    Object.entries(value).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  );
}

export async function listStateDirectories(home: string): Promise<string[]> {
  return readdir(join(home, 'engine/workloads')).catch(() => []);
}

export function hasStateDirectory(home: string, id: string): Promise<boolean> {
  return access(stateDirectory(home, id)).then(
    () => true,
    () => false,
  );
}

export async function makeStateDirectory(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
}

/** All of it at once: a directory half removed would not be found again. */
export async function removeStateDirectory(home: string, id: string): Promise<void> {
  const aside = join(home, 'engine/runs', `${id}.${await ownedName()}`);
  await mkdir(join(home, 'engine/runs'), { recursive: true, mode: 0o700 });
  const isThere = await rename(stateDirectory(home, id), aside).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return false;
      throw error;
    },
  );
  if (isThere) await removeTree(aside);
}

function notStarted(id: string, directory: string): BoughError {
  return new BoughError({
    code: 'workload-not-started',
    message: `The supervisor of ${id} did not start.`,
    hint: `Check that ${directory} is writable and that its disk is not full, then redeploy.`,
    retryable: true,
  });
}
