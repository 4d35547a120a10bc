import { readdir, readFile, readlink } from 'node:fs/promises';
import { basename } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { isAlive, processIdentity } from '@bough/toolchain/process-identity';

/** The living process of one of these names whose working directory is that one: a server in its data directory. */
export async function findServer(names: readonly string[], directory: string): Promise<string | undefined> {
  for (const entry of await readdir('/proc')) {
    const pid = Number(entry);
    if (!Number.isSafeInteger(pid) || !(await isServer(pid, names, directory))) continue;
    const identity = await processIdentity(pid);
    if (identity !== undefined) return identity;
  }
  return undefined;
}

async function isServer(pid: number, names: readonly string[], directory: string): Promise<boolean> {
  const cwd = await readlink(`/proc/${pid}/cwd`).catch(() => undefined);
  if (cwd !== directory) return false;
  const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  return names.includes(basename(command.split('\0')[0] ?? ''));
}

/** Whether the process is gone by then. */
export async function waitForExit(identity: string, timeoutMs: number): Promise<boolean> {
  const deadline = Date.now() + timeoutMs;
  while (await isAlive(identity)) {
    if (Date.now() > deadline) return false;
    await delay(20);
  }
  return true;
}

/** Signals one after another, each with its time, until the process is gone. */
export async function endProcess(
  identity: string,
  steps: readonly { signal: NodeJS.Signals; waitMs: number }[],
): Promise<boolean> {
  for (const { signal, waitMs } of steps) {
    if (!(await isAlive(identity))) return true;
    signalProcess(identity, signal);
    if (await waitForExit(identity, waitMs)) return true;
  }
  return !(await isAlive(identity));
}

function signalProcess(identity: string, signal: NodeJS.Signals): void {
  try {
    process.kill(Number.parseInt(identity, 10), signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Calls back once when a process that need not be our child is gone. Does not keep Node running. */
export function watchProcess(identity: string, onExit: () => void): () => void {
  let isStopped = false;
  const timer = setInterval(async () => {
    if ((await isAlive(identity)) || isStopped) return;
    clearInterval(timer);
    onExit();
  }, 500);
  timer.unref();
  return () => {
    isStopped = true;
    clearInterval(timer);
  };
}
