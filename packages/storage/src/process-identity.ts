import { readFile } from 'node:fs/promises';

/**
 * `<pid>:<start time>`: unlike a bare process id it is not handed to a later process. The start time is field 22 of
 * /proc/<pid>/stat, in ticks since boot; the command's name in field 2 may hold spaces, so fields are counted after it.
 */
export async function processIdentity(pid: number): Promise<string | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ');
  // A zombie (state Z) has stopped doing anything; its parent merely has not looked yet.
  if (!fields || fields[0] === 'Z' || fields[19] === undefined) return undefined;
  return `${pid}:${fields[19]}`;
}

export async function isAlive(identity: string): Promise<boolean> {
  const pid = Number(identity.split(':')[0]);
  return Number.isSafeInteger(pid) && pid > 0 && (await processIdentity(pid)) === identity;
}
