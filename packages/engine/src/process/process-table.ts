import { readlinkSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { setImmediate as letOthersGoOn } from 'node:timers/promises';
import { isAlive } from '@bough/toolchain/process-identity';
import { readProc } from '@bough/toolchain/read-proc';

export interface ProcessRow {
  readonly pid: number;
  readonly parent: number;
  /** `pid:start time`, the form of @bough/toolchain/process-identity: never names two processes between two boots. */
  readonly identity: string;
}

const readsAtOnce = 64;

/** Every living process. Zombies are left out: they hold nothing any more. */
export async function readProcessTable(): Promise<ProcessRow[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
  return mapBounded(pids, readProcess);
}

function readProcess(pid: number): ProcessRow | undefined {
  const stat = readProc(`/proc/${pid}/stat`, 'latin1');
  if (stat === undefined) return undefined;
  // The command's name stands in parentheses and may hold spaces; the fields are counted after it.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  if (fields[0] === 'Z' || fields[0] === 'X') return undefined;
  return { pid, parent: Number(fields[1]), identity: `${pid}:${fields[19]}` };
}

export interface LabelledProcess extends ProcessRow {
  readonly env: Readonly<Record<string, string>>;
}

/**
 * The processes on this side of any sandbox whose environment at their start held `marker`. A process inside a sandbox
 * can write what it likes into its own environment; it lives in another PID namespace and is not believed.
 */
export async function labelledProcesses(
  table: readonly ProcessRow[],
  marker: string,
  known: KnownStrangers = new Set(),
): Promise<LabelledProcess[]> {
  const own = readNamespace('self');
  return mapBounded(table, (row) => {
    if (known.has(row.identity)) return undefined;
    const text = readEnvironment(row.pid);
    if (!text.split('\0').includes(marker)) {
      known.add(row.identity);
      return undefined;
    }
    return readNamespace(row.pid) === own ? { ...row, env: parseEnvironment(text) } : undefined;
  });
}

/**
 * Processes that were seen not to carry the marker, for whoever looks again and again at one workload: what belongs to
 * it is born of its own processes, which carry it from the start, so a stranger stays one.
 */
export type KnownStrangers = Set<string>;

/** The environment of one process of ours, or undefined when it is gone or is another than it was. */
export async function environmentOf(identity: string): Promise<Record<string, string> | undefined> {
  const text = readEnvironment(Number.parseInt(identity, 10));
  return (await isAlive(identity)) ? parseEnvironment(text) : undefined;
}

function readEnvironment(pid: number): string {
  return readProc(`/proc/${pid}/environ`) ?? '';
}

function readNamespace(pid: number | 'self'): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/pid`);
  } catch {
    return undefined;
  }
}

function parseEnvironment(text: string): Record<string, string> {
  const pairs = text.split('\0').flatMap((entry) => {
    const at = entry.indexOf('=');
    return at > 0 ? [[entry.slice(0, at), entry.slice(at + 1)] as const] : [];
  });
  return Object.fromEntries(pairs);
}

/** Everything below the given processes, at any depth. */
export function descendants(table: readonly ProcessRow[], roots: ReadonlySet<number>): ProcessRow[] {
  const found = new Map<number, ProcessRow>();
  let grew = true;
  while (grew) {
    grew = false;
    for (const row of table) {
      if (found.has(row.pid) || roots.has(row.pid)) continue;
      if (!roots.has(row.parent) && !found.has(row.parent)) continue;
      found.set(row.pid, row);
      grew = true;
    }
  }
  return [...found.values()];
}

async function mapBounded<T, R>(items: readonly T[], map: (item: T) => R | undefined): Promise<R[]> {
  const results: R[] = [];
  for (const [index, item] of items.entries()) {
    if (index > 0 && index % readsAtOnce === 0) await letOthersGoOn();
    const result = map(item);
    if (result !== undefined) results.push(result);
  }
  return results;
}
