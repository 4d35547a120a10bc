import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  candidates,
  countMemoryKills,
  createGroup,
  findGroup,
  type Hierarchy,
  limitFiles,
} from './cgroup.ts';

const limits = { memoryBytes: 1_000_000, pids: 30, cpus: 0.5 };

describe('limitFiles', () => {
  it('writes version 1', () => {
    expect(limitFiles(1, 'memory', limits)).toEqual([
      { file: 'memory.limit_in_bytes', value: '1000000' },
      { file: 'memory.memsw.limit_in_bytes', value: '1000000', optional: true },
    ]);
    expect(limitFiles(1, 'pids', limits)).toEqual([{ file: 'pids.max', value: '30' }]);
    expect(limitFiles(1, 'cpus', limits)).toEqual([
      { file: 'cpu.cfs_period_us', value: '100000' },
      { file: 'cpu.cfs_quota_us', value: '50000' },
    ]);
  });

  it('writes version 2', () => {
    expect(limitFiles(2, 'memory', limits)).toEqual([
      { file: 'memory.max', value: '1000000' },
      { file: 'memory.swap.max', value: '0', optional: true },
    ]);
    expect(limitFiles(2, 'cpus', limits)).toEqual([{ file: 'cpu.max', value: '50000 100000' }]);
  });
});

describe('candidates', () => {
  it('finds the hierarchy of version 1, its top before our own group', () => {
    const mounts = 'cgroup /cg/memory cgroup rw,memory 0 0\ncgroup /cg/cpu cgroup rw,cpu,cpuacct 0 0\n';
    const self = '4:memory:/mine\n1:cpu,cpuacct:/\n';
    expect(candidates('memory', { name: 'x', mounts, self })).toEqual([
      { version: 1, parent: '/cg/memory' },
      { version: 1, parent: '/cg/memory/mine' },
    ]);
    expect(candidates('cpus', { name: 'x', mounts, self })).toEqual([{ version: 1, parent: '/cg/cpu' }]);
    expect(candidates('pids', { name: 'x', mounts, self })).toEqual([]);
  });

  it('finds a delegated group of version 2', () => {
    const mounts = 'cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n';
    const self = '0::/user.slice/bough.service\n';
    expect(candidates('memory', { name: 'x', mounts, self })).toEqual([
      { version: 2, parent: '/sys/fs/cgroup' },
      { version: 2, parent: '/sys/fs/cgroup/user.slice/bough.service' },
    ]);
  });
});

/** Plain files in place of the kernel's: which are written, and in which order of directories. */
describe('a group of version 2', () => {
  let top: string;
  let hierarchy: Hierarchy;
  beforeEach(async () => {
    top = await mkdtemp(join(tmpdir(), 'bough-cgroup-'));
    hierarchy = { version: 2, directory: join(top, 'bough-i'), resources: ['memory', 'pids'] };
    const files = [
      'cgroup.subtree_control',
      'bough-i/cgroup.subtree_control',
      'bough-i/w/memory.max',
      'bough-i/w/pids.max',
    ];
    await mkdir(join(hierarchy.directory, 'w'), { recursive: true });
    for (const file of files) await writeFile(join(top, file), '');
  });
  afterEach(() => rm(top, { recursive: true }));

  it('hands the controllers down and sets the limits', async () => {
    const group = await createGroup([hierarchy], 'w', limits);
    expect(group.directories).toEqual([join(hierarchy.directory, 'w')]);
    expect(await readFile(join(top, 'cgroup.subtree_control'), 'utf8')).toBe('+memory +pids');
    expect(await readFile(join(hierarchy.directory, 'cgroup.subtree_control'), 'utf8')).toBe('+memory +pids');
    expect(await readFile(join(hierarchy.directory, 'w/memory.max'), 'utf8')).toBe('1000000');
    expect(await readFile(join(hierarchy.directory, 'w/pids.max'), 'utf8')).toBe('30');
  });

  it('counts what the kernel killed for memory', async () => {
    await writeFile(join(hierarchy.directory, 'w/memory.events'), 'low 0\nmax 12\noom 3\noom_kill 2\n');
    expect(await countMemoryKills(findGroup([hierarchy], 'w'))).toBe(2);
    expect(await countMemoryKills(findGroup([], 'w'))).toBe(0);
  });

  it('fails when the kernel has no such limit', async () => {
    await rm(join(hierarchy.directory, 'w/pids.max'));
    await expect(createGroup([hierarchy], 'w', limits)).rejects.toThrow('pids.max');
  });
});
