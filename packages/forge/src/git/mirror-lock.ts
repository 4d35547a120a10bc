import { randomUUID } from 'node:crypto';
import { appendFile, link, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { isAlive, processIdentity } from '@bough/toolchain/process-identity';
import { ForgeError } from '../forge-error.ts';
import { killGroup } from './run-git.ts';

/** Held while one process writes to a mirror. */
export interface MirrorLock {
  /** Remembers a git process, so that whoever comes after our death can end it before touching the mirror. */
  recordChild(pid: number): Promise<void>;
  release(): Promise<void>;
}

const POLL_MS = 50;

/**
 * A file beside the mirror with the identity of the holder and of the git processes it started. A lock of a dead
 * holder is taken over, after its orphans are ended; so what is half-written in the mirror then is nobody's any more.
 */
export async function lockMirror(
  path: string,
  options: { timeoutMs: number; signal?: AbortSignal | undefined },
): Promise<MirrorLock> {
  const deadline = Date.now() + options.timeoutMs;
  const self = (await processIdentity(process.pid)) ?? `${process.pid}:0`;
  // The lock appears with its content: a link is made or it is not.
  const draft = `${path}.${process.pid}-${randomUUID()}`;
  await writeFile(draft, `${self}\n`, { mode: 0o600 });
  try {
    for (;;) {
      options.signal?.throwIfAborted();
      if (await linked(draft, path)) break;
      if (!(await breakStale(path)) && Date.now() > deadline) throw busy(path, options.timeoutMs);
      await delay(POLL_MS, undefined, options.signal ? { signal: options.signal } : undefined).catch(
        () => undefined,
      );
    }
  } finally {
    await rm(draft, { force: true });
  }
  return {
    async recordChild(pid) {
      const identity = await processIdentity(pid);
      if (identity !== undefined) await appendFile(path, `${identity}\n`);
    },
    release: () => rm(path, { force: true }),
  };
}

async function linked(draft: string, path: string): Promise<boolean> {
  try {
    await link(draft, path);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  }
}

/** True when the lock was that of a dead process and is gone now. */
async function breakStale(path: string): Promise<boolean> {
  const content = await readFile(path, 'utf8').catch(() => undefined);
  if (content === undefined) return true;
  const [holder, ...children] = content.split('\n').filter((line) => line !== '');
  if (holder !== undefined && (await isAlive(holder))) return false;
  for (const child of children) {
    if (await isAlive(child)) killGroup(Number.parseInt(child, 10));
  }
  for (const child of children) {
    if (await isAlive(child)) return false;
  }
  // Moved first and looked at again: between reading and moving, somebody else may have taken the lock over.
  const moved = `${path}.stale-${randomUUID()}`;
  const mine = await rename(path, moved).then(
    () => true,
    () => false,
  );
  if (!mine) return true;
  if ((await readFile(moved, 'utf8').catch(() => content)) !== content) await linked(moved, path);
  await rm(moved, { force: true });
  return true;
}

function busy(path: string, timeoutMs: number): ForgeError {
  return new ForgeError({
    code: 'forge-unreachable',
    message: `Another fetch into the same mirror did not end within ${Math.round(timeoutMs / 1000)} s.`,
    hint: `Bough tries again by itself. The lock is ${path}.`,
    retryable: true,
  });
}
