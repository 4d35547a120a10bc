import { readlinkSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { isAlive, processIdentity } from '@bough/toolchain/process-identity';
import { readProc } from '@bough/toolchain/read-proc';
import { waitFor } from './wait-for.ts';

export interface Trace {
  /** A directory: processes that work in it or name it, and mounts under it. */
  readonly path?: string | undefined;
  /** A text in a process's environment or command line, such as an installation id. */
  readonly marker?: string | undefined;
}

/**
 * Fails when a process or a mount is left, after giving what is on its way down a moment. Processes of other users are
 * only seen by root.
 */
export async function assertNothingLeft(trace: Trace, timeoutMs = 5_000): Promise<void> {
  let left: string[] = [];
  const isClean = async () => {
    left = [
      ...(await processesOf(trace)).map(describe),
      ...(await mountsUnder(trace.path)).map((point) => `mount ${point}`),
    ];
    return left.length === 0;
  };
  await waitFor('nothing to be left', isClean, { timeoutMs }).catch(() => {
    throw new Error(`left over:\n${left.map((line) => `  ${line}`).join('\n')}`);
  });
}

export interface FoundProcess {
  readonly pid: number;
  readonly command: string;
  readonly cwd: string;
}

export async function processesOf(trace: Trace): Promise<FoundProcess[]> {
  const found: FoundProcess[] = [];
  for (const entry of await readdir('/proc')) {
    const pid = Number(entry);
    if (!Number.isSafeInteger(pid) || pid === process.pid) continue;
    const candidate = await look(pid);
    if (candidate && matches(candidate, trace)) found.push(candidate);
  }
  return found;
}

async function look(pid: number): Promise<(FoundProcess & { environment: string }) | undefined> {
  // A zombie has nothing left but its name.
  if ((await processIdentity(pid)) === undefined) return undefined;
  const command = readProc(`/proc/${pid}/cmdline`) ?? '';
  const environment = readProc(`/proc/${pid}/environ`) ?? '';
  return { pid, command: command.replaceAll('\0', ' ').trim(), environment, cwd: directoryOf(pid) };
}

function directoryOf(pid: number): string {
  try {
    return readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    return '';
  }
}

function matches(candidate: FoundProcess & { environment: string }, { path, marker }: Trace): boolean {
  const isUnder =
    path !== undefined && (`${candidate.cwd}/`.startsWith(`${path}/`) || candidate.command.includes(path));
  const isMarked =
    marker !== undefined && (candidate.environment.includes(marker) || candidate.command.includes(marker));
  return isUnder || isMarked;
}

function describe({ pid, command, cwd }: FoundProcess): string {
  return `process ${pid} in ${cwd}: ${command.slice(0, 200)}`;
}

/** In the order in which they were mounted. */
export async function mountsUnder(path: string | undefined): Promise<string[]> {
  if (path === undefined) return [];
  const lines = (await readFile('/proc/self/mountinfo', 'utf8')).split('\n');
  const points = lines
    .flatMap((line) => line.split(' ')[4] ?? [])
    .map((point) => point.replaceAll('\\040', ' '));
  return points.filter((point) => `${point}/`.startsWith(`${path}/`));
}

/** Kills whatever still works under a directory. Only for what a killed run left: a test that needs it has a leak. */
export async function endProcessesUnder(path: string): Promise<void> {
  // A workload's supervisor works in / and names the directory in its environment only.
  for (const { pid } of await processesOf({ path, marker: path })) {
    const identity = await processIdentity(pid);
    if (identity === undefined) continue;
    try {
      process.kill(pid, 'SIGKILL');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
    await waitFor(`process ${pid} to end`, async () => !(await isAlive(identity)));
  }
}
