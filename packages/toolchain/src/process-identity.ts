import { readProc } from './read-proc.ts';

/**
 * `pid:start time`, which unlike a pid alone never names two processes between two boots. Undefined when no such
 * process lives. A zombie counts as dead: it holds nothing any more.
 */
export async function processIdentity(pid: number): Promise<string | undefined> {
  const stat = readProc(`/proc/${pid}/stat`);
  if (stat === undefined) return undefined;
  // The command's name stands in parentheses and may hold spaces; the fields are counted after it.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [state, startTime] = [fields[0], fields[19]];
  return state === 'Z' || state === 'X' || startTime === undefined ? undefined : `${pid}:${startTime}`;
}

export async function isAlive(identity: string): Promise<boolean> {
  const pid = Number.parseInt(identity, 10);
  return Number.isSafeInteger(pid) && pid > 0 && (await processIdentity(pid)) === identity;
}
