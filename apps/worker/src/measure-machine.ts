import { readFile, statfs } from 'node:fs/promises';
import type { Measured } from '@bough/reconcile/decide-admission';

/** What this machine has left: memory as the kernel counts it (or the container's limit), and the fullest of the disks. */
export async function measureMachine(directories: readonly string[]): Promise<Measured> {
  const [machine, container, ...disks] = await Promise.all([
    availableMemory(),
    containerMemory(),
    ...directories.map(availableDisk),
  ]);
  return {
    memoryAvailableBytes: Math.min(machine, container),
    diskAvailableBytes: Math.min(...disks),
  };
}

/** The reserves where nobody says otherwise: a twentieth, and not more than a gigabyte. */
export async function defaultReserves(
  directories: readonly string[],
): Promise<{ memoryBytes: number; diskBytes: number }> {
  const total = /^MemTotal:\s+(\d+) kB/m.exec(await readFile('/proc/meminfo', 'utf8'))?.[1] ?? '0';
  const disks = await Promise.all(directories.map(async (path) => statfs(path)));
  const smallest = Math.min(...disks.map(({ blocks, bsize }) => blocks * bsize));
  const share = (bytes: number) => Math.min(1024 ** 3, Math.round(bytes / 20));
  return { memoryBytes: share(Number(total) * 1024), diskBytes: share(smallest) };
}

async function availableMemory(): Promise<number> {
  const found = /^MemAvailable:\s+(\d+) kB/m.exec(await readFile('/proc/meminfo', 'utf8'))?.[1];
  return found === undefined ? Number.POSITIVE_INFINITY : Number(found) * 1024;
}

/** In a container the kernel's count is the host's; the limit is in its cgroup. */
async function containerMemory(): Promise<number> {
  const read = (name: string) =>
    readFile(`/sys/fs/cgroup/${name}`, 'utf8').then(
      (text) => Number(text.trim()),
      () => Number.NaN,
    );
  const [limit, used] = await Promise.all([read('memory.max'), read('memory.current')]);
  return Number.isFinite(limit) && Number.isFinite(used)
    ? Math.max(0, limit - used)
    : Number.POSITIVE_INFINITY;
}

async function availableDisk(path: string): Promise<number> {
  const { bavail, bsize } = await statfs(path);
  return bavail * bsize;
}
