import { readFile, readlink } from 'node:fs/promises';

/**
 * `<pid>:<start time>:<process namespace>`: unlike a bare process id it is not handed to a later process, and a process
 * of another container is not mistaken for a dead one. The start time is field 22 of /proc/<pid>/stat, in ticks since
 * boot; the command's name in field 2 may hold spaces, so fields are counted after it.
 */
export async function processIdentity(pid: number): Promise<string> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ');
  // A zombie (state Z) has stopped doing anything; its parent merely has not looked yet.
  const isThere = fields !== undefined && fields[0] !== 'Z';
  return `${pid}:${isThere ? fields[19] : 0}:${await namespace()}`;
}

export async function lifeOf(identity: string): Promise<'alive' | 'dead' | 'unknown'> {
  const [pid, , space] = identity.split(':');
  if (space !== (await namespace())) return 'unknown';
  return (await processIdentity(Number(pid))) === identity ? 'alive' : 'dead';
}

async function namespace(): Promise<string> {
  const link = await readlink('/proc/self/ns/pid').catch(() => '');
  return /\d+/.exec(link)?.[0] ?? '0';
}
