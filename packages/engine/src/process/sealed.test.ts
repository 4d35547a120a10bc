import { expect, test } from 'vitest';
import { limitLines } from './sealed.ts';

const MIB = 1024 * 1024;
const limits = { memoryBytes: 256 * MIB, pids: 100, cpus: 1 };

test.each([
  [['nodejs:22'], 256],
  [['nodejs:24.1.0'], 768],
  [['postgresql:17', 'nodejs:24'], 768],
  [[], 256],
])('without a control group %s may have so many MiB of data', (toolchains, mib) => {
  expect(limitLines({ hierarchies: [] }, { limits, toolchains })).toContain(`ulimit -d ${mib * 1024}\n`);
});
