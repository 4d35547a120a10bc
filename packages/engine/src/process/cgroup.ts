import { access, mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { execa } from 'execa';
import type { Limits } from '../engine.ts';
import { ownedName } from './owner.ts';

export type Resource = 'memory' | 'pids' | 'cpus';

/** One hierarchy in which we may make groups, and the resources that it limits there. */
export interface Hierarchy {
  readonly version: 1 | 2;
  /** Our own directory in it; one group per workload lies below. */
  readonly directory: string;
  readonly resources: readonly Resource[];
}

export interface Group {
  /** One directory per hierarchy; a process enters the group by writing into `cgroup.procs` of each. */
  readonly directories: readonly string[];
  /** The file in which the kernel counts `oom_kill`. */
  readonly memoryEventsFile: string | undefined;
}

const controllers: Readonly<Record<Resource, string>> = { memory: 'memory', pids: 'pids', cpus: 'cpu' };
const resources: readonly Resource[] = ['memory', 'pids', 'cpus'];

/** The files to write for a limit, in order. Pure: the same on every machine. */
export function limitFiles(
  version: 1 | 2,
  resource: Resource,
  limits: Limits,
): { file: string; value: string; optional?: true }[] {
  const period = 100_000;
  const quota = Math.max(1_000, Math.round(limits.cpus * period));
  if (resource === 'pids') return [{ file: 'pids.max', value: String(limits.pids) }];
  if (resource === 'memory') {
    const value = String(limits.memoryBytes);
    return version === 1
      ? [
          { file: 'memory.limit_in_bytes', value },
          { file: 'memory.memsw.limit_in_bytes', value, optional: true },
        ]
      : [
          { file: 'memory.max', value },
          { file: 'memory.swap.max', value: '0', optional: true },
        ];
  }
  return version === 1
    ? [
        { file: 'cpu.cfs_period_us', value: String(period) },
        { file: 'cpu.cfs_quota_us', value: String(quota) },
      ]
    : [{ file: 'cpu.max', value: `${quota} ${period}` }];
}

/** Finds by doing where groups can be made: what is mounted writable may still refuse. */
export async function probeHierarchies(options: {
  readonly name: string;
  readonly mounts?: string;
  readonly self?: string;
}): Promise<Hierarchy[]> {
  const mounts = await readFile(options.mounts ?? '/proc/self/mounts', 'utf8').catch(() => '');
  const self = await readFile(options.self ?? '/proc/self/cgroup', 'utf8').catch(() => '');
  const found: Hierarchy[] = [];
  for (const resource of resources) {
    const hierarchy = await probeResource(resource, { name: options.name, mounts, self });
    if (!hierarchy) continue;
    const same = found.findIndex((other) => other.directory === hierarchy.directory);
    const known = found[same];
    if (known) found[same] = { ...known, resources: [...known.resources, resource] };
    else found.push(hierarchy);
  }
  return found;
}

interface Surveyed {
  readonly name: string;
  readonly mounts: string;
  readonly self: string;
}

async function probeResource(resource: Resource, surveyed: Surveyed): Promise<Hierarchy | undefined> {
  for (const { version, parent } of candidates(resource, surveyed)) {
    const hierarchy = { version, directory: join(parent, surveyed.name), resources: [resource] };
    if (await works(hierarchy)) return hierarchy;
  }
  return undefined;
}

/**
 * The top of the hierarchy first: there a workload does not end with the group that Bough was started in. Then the
 * group that Bough itself is in, which is what a delegation hands to an ordinary user.
 */
export function candidates(
  resource: Resource,
  { mounts, self }: Surveyed,
): { version: 1 | 2; parent: string }[] {
  const controller = controllers[resource];
  return mounts.split('\n').flatMap((line) => {
    const [, mountedAt, type, options] = line.split(' ');
    if (mountedAt === undefined) return [];
    const isFirst = type === 'cgroup' && (options ?? '').split(',').includes(controller);
    if (!isFirst && type !== 'cgroup2') return [];
    const version = isFirst ? 1 : 2;
    const own = ownPath(self, isFirst ? controller : '');
    const parents = own === '/' || own === undefined ? [mountedAt] : [mountedAt, join(mountedAt, own)];
    return parents.map((parent) => ({ version, parent }) as const);
  });
}

function ownPath(self: string, controller: string): string | undefined {
  for (const line of self.split('\n')) {
    const [, names, path] = line.split(':');
    if (names !== undefined && path !== undefined && names.split(',').includes(controller)) return path;
  }
  return undefined;
}

async function works(hierarchy: Hierarchy): Promise<boolean> {
  const probe: Limits = { memoryBytes: 64 * 1024 * 1024, pids: 64, cpus: 1 };
  const name = `probe.${await ownedName()}`;
  try {
    const group = await createGroup([hierarchy], name, probe);
    const script = 'for group; do echo 0 >"$group/cgroup.procs" || exit 1; done';
    const entered = await execa('/bin/sh', ['-c', script, 'probe', ...group.directories], {
      reject: false,
      timeout: 5_000,
      stdio: 'ignore',
    });
    return entered.exitCode === 0;
  } catch {
    return false;
  } finally {
    await removeGroup([hierarchy], name);
  }
}

export async function createGroup(
  hierarchies: readonly Hierarchy[],
  name: string,
  limits: Limits,
): Promise<Group> {
  for (const hierarchy of hierarchies) {
    const directory = join(hierarchy.directory, name);
    await makeDirectory(hierarchy, directory);
    for (const resource of hierarchy.resources) {
      for (const { file, value, optional } of limitFiles(hierarchy.version, resource, limits)) {
        const written = writeFile(join(directory, file), value, { flag: 'r+' });
        await (optional ? written.catch(() => undefined) : written);
      }
    }
  }
  return findGroup(hierarchies, name);
}

async function makeDirectory(hierarchy: Hierarchy, directory: string): Promise<void> {
  await mkdir(directory, { recursive: true });
  if (hierarchy.version === 1) return;
  // A group's limits exist only where every group above it hands the controller down.
  const enable = hierarchy.resources.map((resource) => `+${controllers[resource]}`).join(' ');
  for (const above of [join(hierarchy.directory, '..'), hierarchy.directory]) {
    await writeFile(join(above, 'cgroup.subtree_control'), enable, { flag: 'r+' });
  }
}

export function findGroup(hierarchies: readonly Hierarchy[], name: string): Group {
  const memory = hierarchies.find((hierarchy) => hierarchy.resources.includes('memory'));
  const events = memory?.version === 1 ? 'memory.oom_control' : 'memory.events';
  return {
    directories: hierarchies.map((hierarchy) => join(hierarchy.directory, name)),
    memoryEventsFile: memory && join(memory.directory, name, events),
  };
}

/** In whichever hierarchy: what a crash left half-removed counts. */
export async function hasGroup(hierarchies: readonly Hierarchy[], name: string): Promise<boolean> {
  const there = hierarchies.map(({ directory }) => isThere(join(directory, name)));
  return (await Promise.all(there)).includes(true);
}

function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

export async function countMemoryKills(group: Group): Promise<number> {
  if (group.memoryEventsFile === undefined) return 0;
  const text = await readFile(group.memoryEventsFile, 'utf8').catch(() => '');
  return Number(/^oom_kill (\d+)$/m.exec(text)?.[1] ?? 0);
}

/** Kills whatever is still in the group and removes it. Of the absent: nothing happens. */
export async function removeGroup(hierarchies: readonly Hierarchy[], name: string): Promise<void> {
  for (const hierarchy of hierarchies) {
    await removeDirectory(join(hierarchy.directory, name));
    // Ours goes with its last group; it comes back with the next.
    await rmdir(hierarchy.directory).catch(() => undefined);
  }
}

async function removeDirectory(directory: string): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const failure = await rmdir(directory).then(
      () => undefined,
      (error: NodeJS.ErrnoException) => error.code,
    );
    if (failure !== 'EBUSY') return;
    const pids = await readFile(join(directory, 'cgroup.procs'), 'utf8').catch(() => '');
    for (const pid of pids.split('\n').map(Number)) if (pid > 1) kill(pid);
    await delay(20);
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It is gone already.
  }
}

export async function listGroups(hierarchies: readonly Hierarchy[]): Promise<string[]> {
  const names = await Promise.all(
    hierarchies.map(async ({ directory }) => {
      const entries = await readdir(directory, { withFileTypes: true }).catch(() => []);
      return entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
    }),
  );
  return [...new Set(names.flat())];
}
