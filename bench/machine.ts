import { createHash } from 'node:crypto';
import { type FileHandle, open, readFile, rm } from 'node:fs/promises';
import { availableParallelism, cpus, loadavg, release } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type Spread, spreadOf } from './spread.ts';
import { ms, table } from './table.ts';

const CPU_ROUNDS = 8;
const CPU_BYTES = 32 * 1024 * 1024;
const SYNCS = 60;
const WATCH_MS = 100;
const TICKS_A_SECOND = 100;

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
  return await withScratchFile(directory, async (file) => {
    const samples: number[] = [];
    while (samples.length < SYNCS) samples.push(await syncOnce(file));
    return samples;
  });
}

async function syncOnce(file: FileHandle): Promise<number> {
  const startedAt = performance.now();
  await file.write(Buffer.alloc(8 * 1024, 1), 0, undefined, 0);
  await file.datasync();
  return performance.now() - startedAt;
}

async function withScratchFile<Result>(
  directory: string,
  work: (file: FileHandle) => Promise<Result>,
): Promise<Result> {
  const path = join(directory, `.sync-${process.pid}-${Date.now()}`);
  const file = await open(path, 'w', 0o600);
  try {
    return await work(file);
  } finally {
    await file.close();
    await rm(path, { force: true });
  }
}

/** What the machine was like while something was measured. */
export interface MachineWatch {
  /** Shares of all processors' time, 0 to 1. */
  readonly busy: number;
  readonly stolen: number;
  /** One small `fdatasync` now and then: a slow disk shows here, whoever keeps it busy. */
  readonly syncMs: Spread;
  /** How late this process, which has nothing else to do, was woken. */
  readonly lateMs: Spread;
}

/** Looks at the machine ten times a second, which costs it nothing to speak of, until told to stop. */
export function watchMachine(directory: string, signal: AbortSignal): { stop(): Promise<MachineWatch> } {
  const done = new AbortController();
  const before = readProcessorTime();
  const watching = withScratchFile(directory, async (file) => {
    const [syncs, lates]: [number[], number[]] = [[], []];
    while (!done.signal.aborted && !signal.aborted) {
      const dueAt = performance.now() + WATCH_MS;
      await delay(WATCH_MS);
      lates.push(Math.max(0, performance.now() - dueAt));
      syncs.push(await syncOnce(file));
    }
    return { syncMs: spreadOf(syncs), lateMs: spreadOf(lates) };
  });
  watching.catch(() => {});
  return {
    async stop() {
      done.abort();
      return { ...(await watching), ...processorShares(await before, await readProcessorTime()) };
    },
  };
}

/** Processor time of the whole machine so far, in units of which only shares mean anything. */
interface ProcessorTime {
  readonly total: number;
  readonly idle: number;
  readonly stolen: number;
}

async function readProcessorTime(): Promise<ProcessorTime> {
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

function processorShares(before: ProcessorTime, after: ProcessorTime): { busy: number; stolen: number } {
  const total = Math.max(1, after.total - before.total);
  return {
    busy: 1 - (after.idle - before.idle) / total,
    stolen: (after.stolen - before.stolen) / total,
  };
}

/** User and system time that processes have had so far, from /proc. */
export async function workedMs(pids: readonly number[]): Promise<number> {
  const times = await Promise.all(
    pids.map(async (pid) => {
      const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
      const [user = 0, system = 0] = stat
        .slice(stat.lastIndexOf(')') + 2)
        .split(' ')
        .slice(11, 13)
        .map(Number);
      return ((user + system) * 1000) / TICKS_A_SECOND;
    }),
  );
  return times.reduce((sum, time) => sum + time, 0);
}

/** All that is known of the machine during one measurement. */
export interface Noise {
  readonly machine: Machine;
  readonly before: MachineMoment;
  readonly during: MachineWatch;
  readonly after: MachineMoment;
}

export function noiseWords({ machine, before, during, after }: Noise): string {
  const row = (when: string, moment: Pick<MachineMoment, 'syncMs'> & Partial<MachineMoment>) => [
    when,
    moment.load?.join(' ') ?? '',
    moment.cpuMs ? `${ms(moment.cpuMs.p50, 1)} / ${ms(moment.cpuMs.p90, 1)}` : '',
    `${ms(moment.syncMs.p50, 2)} / ${ms(moment.syncMs.p90, 2)} / ${ms(moment.syncMs.max, 1)}`,
  ];
  return [
    `Machine: ${machine.cores} cores (${machine.model}), Linux ${machine.kernel}, Node ${machine.node}`,
    table(
      ['noise', 'load average', 'hashing 32 MiB, p50 / p90', 'fsync, p50 / p90 / max'],
      [row('before', before), row('during', during), row('after', after)],
    ),
    `While measuring: processors ${percent(during.busy)} busy, ${percent(during.stolen)} stolen by other machines; a waiting process was woken ${ms(during.lateMs.p50, 1)} (p50), ${ms(during.lateMs.p99, 1)} (p99) late`,
  ].join('\n');
}

const percent = (share: number): string => `${(share * 100).toFixed(0)} %`;
