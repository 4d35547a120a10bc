import { setTimeout as delay } from 'node:timers/promises';
import { BoughError } from '@bough/domain/bough-error';
import { isAlive } from '@bough/toolchain/process-identity';
import {
  descendants,
  type KnownStrangers,
  type LabelledProcess,
  labelledProcesses,
  type ProcessRow,
  readProcessTable,
} from './process-table.ts';

export interface StopSpec {
  /** `NAME=value` that every process of ours carries. */
  readonly marker: string;
  /** Which of those belong to what is to be stopped. */
  readonly belongs: (env: LabelledProcess['env']) => boolean;
  readonly signal: NodeJS.Signals;
  readonly graceMs: number;
  /** Ends the waiting; what is half stopped then is finished by the next call. */
  readonly abort?: AbortSignal | undefined;
}

const pollMs = 40;
const killTimeoutMs = 10_000;

/**
 * Stops everything that carries the label: the stop signal to the process group inside the sandbox, the grace time, then
 * SIGKILL. Ends when nothing is left. Each kill is of a process just seen with its start time.
 */
export async function stopLabelled(spec: StopSpec): Promise<void> {
  const seen = new Map<string, ProcessRow>();
  const asked = new Set<string>();
  const strangers: KnownStrangers = new Set();
  const graceEnds = Date.now() + spec.graceMs;
  for (;;) {
    spec.abort?.throwIfAborted();
    const world = await survey(spec, strangers);
    for (const row of [...world.outside, ...world.inside]) seen.set(row.identity, row);
    if (world.outside.length === 0 && !(await anyAlive(seen))) return;
    if (Date.now() >= graceEnds) break;
    ask(world, spec.signal, asked);
    await delay(Math.min(pollMs, Math.max(1, graceEnds - Date.now())));
  }
  await killAll(spec, seen);
}

interface World {
  /** Supervisor, its log keeper, bubblewrap's outer half. */
  readonly outside: readonly LabelledProcess[];
  /** The first process of each PID namespace and everything below it. */
  readonly inside: readonly ProcessRow[];
}

async function survey(spec: StopSpec, strangers?: KnownStrangers): Promise<World> {
  const table = await readProcessTable();
  const outside = (await labelledProcesses(table, spec.marker, strangers)).filter((row) =>
    spec.belongs(row.env),
  );
  const inside = descendants(table, new Set(outside.map((row) => row.pid)));
  return { outside, inside: inside.filter((row) => outside.every((other) => other.pid !== row.pid)) };
}

function ask(world: World, signal: NodeJS.Signals, asked: Set<string>): void {
  const outsidePids = new Set(world.outside.map((row) => row.pid));
  for (const row of world.outside) {
    // Only the supervisor itself knows what SIGTERM means; its children would just die of it.
    if (outsidePids.has(row.parent) || asked.has(row.identity)) continue;
    if (row.env.BOUGH_STATE !== undefined) send(row.pid, 'SIGTERM');
    asked.add(row.identity);
  }
  for (const row of world.inside) {
    // Bubblewrap's inner half leads the session (--new-session) and, as process 1, ignores the signal itself.
    if (!outsidePids.has(row.parent) || asked.has(row.identity)) continue;
    if (send(-row.pid, signal)) asked.add(row.identity);
  }
}

async function killAll(spec: StopSpec, seen: Map<string, ProcessRow>): Promise<void> {
  const deadline = Date.now() + killTimeoutMs;
  for (;;) {
    const world = await survey(spec);
    for (const row of [...world.inside, ...world.outside]) {
      seen.set(row.identity, row);
      send(row.pid, 'SIGKILL');
    }
    if (world.outside.length === 0 && !(await anyAlive(seen))) return;
    if (Date.now() > deadline) throw unkillable([...seen.values()]);
    await delay(10);
    for (const row of seen.values()) if (await isAlive(row.identity)) send(row.pid, 'SIGKILL');
  }
}

async function anyAlive(seen: Map<string, ProcessRow>): Promise<boolean> {
  for (const identity of seen.keys()) {
    if (await isAlive(identity)) return true;
    seen.delete(identity);
  }
  return false;
}

function send(pid: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch {
    return false;
  }
}

function unkillable(rows: readonly ProcessRow[]): BoughError {
  return new BoughError({
    code: 'processes-remain',
    message: `Processes do not end although they were killed: ${rows
      .map((row) => row.pid)
      .slice(0, 10)
      .join(', ')}.`,
    hint: 'Look at them with `ps -o pid,stat,wchan,args -p PID`; a disk or network file system may hang.',
    retryable: true,
  });
}
