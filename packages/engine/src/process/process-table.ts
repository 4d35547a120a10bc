import { readdir, readFile, readlink } from 'node:fs/promises';
import { isAlive } from '@bough/toolchain/process-identity';

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

async function readProcess(pid: number): Promise<ProcessRow | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => undefined);
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
  const own = await readlink('/proc/self/ns/pid').catch(() => undefined);
  return mapBounded(table, async (row) => {
    if (known.has(row.identity)) return undefined;
    const text = await readEnvironment(row.pid);
    if (!text.split('\0').includes(marker)) {
      known.add(row.identity);
      return undefined;
    }
    const namespace = await readlink(`/proc/${row.pid}/ns/pid`).catch(() => undefined);
    return namespace === own ? { ...row, env: parseEnvironment(text) } : undefined;
  });
}

/**
 * Processes that were seen not to carry the marker, for whoever looks again and again at one workload: what belongs to
 * it is born of its own processes, which carry it from the start, so a stranger stays one.
 */
export type KnownStrangers = Set<string>;

/** The environment of one process of ours, or undefined when it is gone or is another than it was. */
export async function environmentOf(identity: string): Promise<Record<string, string> | undefined> {
  const text = await readEnvironment(Number.parseInt(identity, 10));
  return (await isAlive(identity)) ? parseEnvironment(text) : undefined;
}

async function readEnvironment(pid: number): Promise<string> {
  return readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '');
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

async function mapBounded<T, R>(items: readonly T[], map: (item: T) => Promise<R | undefined>): Promise<R[]> {
  const results: R[] = [];
  for (let start = 0; start < items.length; start += readsAtOnce) {
    const batch = await Promise.all(items.slice(start, start + readsAtOnce).map(map));
    for (const result of batch) if (result !== undefined) results.push(result);
  }
  return results;
}
