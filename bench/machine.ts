import { createHash } from 'node:crypto';
import { open, readFile, rm } from 'node:fs/promises';
import { availableParallelism, cpus, loadavg, release } from 'node:os';
import { join } from 'node:path';
import { type Spread, spreadOf } from './spread.ts';
import { ms, table } from './table.ts';

const CPU_ROUNDS = 8;
const CPU_BYTES = 32 * 1024 * 1024;
const SYNCS = 60;

/** What the machine could do at one moment: the same work each time, so that two moments can be compared. */
export interface MachineMoment {
  readonly load: readonly number[];
  /** Hashing 32 MiB on one core. */
  readonly cpuMs: Spread;
  /** Writing 8 KiB at a file's end and `fdatasync`. */
  readonly syncMs: Spread;
}

export interface Machine {
  readonly cores: number;
  readonly model: string;
  readonly kernel: string;
  readonly node: string;
}

export function describeMachine(): Machine {
  return {
    cores: availableParallelism(),
    model: cpus()[0]?.model ?? 'unknown',
    kernel: release(),
    node: process.version,
  };
}

/** The machine's noise: called before and after a measurement, beside which its numbers are shown. */
export async function observeMachine(directory: string): Promise<MachineMoment> {
  const load = loadavg().map((value) => Math.round(value * 100) / 100);
  return { load, cpuMs: spreadOf(hashOften()), syncMs: spreadOf(await syncOften(directory)) };
}

function hashOften(): number[] {
  const block = Buffer.alloc(CPU_BYTES, 7);
  return Array.from({ length: CPU_ROUNDS }, () => {
    const startedAt = performance.now();
    createHash('sha256').update(block).digest();
    return performance.now() - startedAt;
  });
}

async function syncOften(directory: string): Promise<number[]> {
  const path = join(directory, `.sync-${process.pid}`);
  const file = await open(path, 'w', 0o600);
  const block = Buffer.alloc(8 * 1024, 1);
  const samples: number[] = [];
  try {
    for (let index = 0; index < SYNCS; index += 1) {
      const startedAt = performance.now();
      await file.write(block);
      await file.datasync();
      samples.push(performance.now() - startedAt);
    }
  } finally {
    await file.close();
    await rm(path, { force: true });
  }
  return samples;
}

/** Processor time of the whole machine so far, in units of which only shares mean anything. */
export interface ProcessorTime {
  readonly total: number;
  readonly idle: number;
  readonly stolen: number;
}

export async function readProcessorTime(): Promise<ProcessorTime> {
  const [line = ''] = (await readFile('/proc/stat', 'utf8')).split('\n');
  const [user = 0, nice = 0, system = 0, idle = 0, waiting = 0, irq = 0, soft = 0, stolen = 0] = line
    .trim()
    .split(/\s+/)
    .slice(1)
    .map(Number);
  return {
    total: user + nice + system + idle + waiting + irq + soft + stolen,
    idle: idle + waiting,
    stolen,
  };
}

/** Shares of the time between two readings, 0 to 1. */
export function processorShares(
  before: ProcessorTime,
  after: ProcessorTime,
): { busy: number; stolen: number } {
  const total = Math.max(1, after.total - before.total);
  return {
    busy: 1 - (after.idle - before.idle) / total,
    stolen: (after.stolen - before.stolen) / total,
  };
}

export function machineWords(machine: Machine, before: MachineMoment, after: MachineMoment): string {
  const row = (when: string, moment: MachineMoment) => [
    when,
    moment.load.join(' '),
    ms(moment.cpuMs.p50, 1),
    ms(moment.cpuMs.p90, 1),
    ms(moment.syncMs.p50, 2),
    ms(moment.syncMs.p90, 2),
  ];
  return [
    `Machine: ${machine.cores} cores (${machine.model}), Linux ${machine.kernel}, Node ${machine.node}`,
    table(
      ['noise', 'load average', 'cpu p50', 'cpu p90', 'fsync p50', 'fsync p90'],
      [row('before', before), row('after', after)],
    ),
  ].join('\n');
}
