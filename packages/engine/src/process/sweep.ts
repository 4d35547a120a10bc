import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { listGroups, removeGroup } from './cgroup.ts';
import type { EngineContext } from './context.ts';
import { installationMarker } from './labels.ts';
import { isOwnerAlive, ownerOf } from './owner.ts';
import { labelledProcesses, readProcessTable } from './process-table.ts';
import { removeTree } from './remove-tree.ts';
import { stopLabelled } from './stop.ts';

/** Removes what a Bough process that was killed left behind: its runs and builds, never its workloads. */
export async function sweep(context: EngineContext): Promise<void> {
  await endAbandonedRuns(context);
  for (const directory of ['engine', 'engine/runs', 'engine/ports', 'builds']) {
    for (const name of await readdir(join(context.home, directory)).catch(() => [])) {
      const path = join(context.home, directory, name);
      if ((await isAbandoned(name)) || (await isAbandonedLock(path))) await removeTree(path);
    }
  }
  for (const name of await listGroups(context.hierarchies)) {
    if (await isAbandoned(name)) await removeGroup(context.hierarchies, name);
  }
}

async function endAbandonedRuns(context: EngineContext): Promise<void> {
  const marker = installationMarker(context.installationId);
  const rows = await labelledProcesses(await readProcessTable(), marker);
  const owners = new Set(rows.map((row) => row.env.BOUGH_OWNER).filter((owner) => owner !== undefined));
  for (const owner of owners) {
    if (await isOwnerAlive(owner)) continue;
    const belongs = (env: Readonly<Record<string, string>>) => env.BOUGH_OWNER === owner;
    await stopLabelled({ marker, belongs, signal: 'SIGKILL', graceMs: 0 });
  }
}

async function isAbandonedLock(path: string): Promise<boolean> {
  return path.endsWith('.lock') && isAbandoned(await readFile(path, 'utf8').catch(() => ''));
}

async function isAbandoned(name: string): Promise<boolean> {
  const owner = ownerOf(name);
  return owner !== undefined && !(await isOwnerAlive(owner));
}
