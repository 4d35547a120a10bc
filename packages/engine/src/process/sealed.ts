import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Limits, Seclusion, WorkloadLabels } from '../engine.ts';
import { countMemoryKills, createGroup, removeGroup } from './cgroup.ts';
import { type EngineContext, findBubblewrap } from './context.ts';
import { type Door, type DoorSpec, doorMemoryBytes, doorPids, heldBack, makeDoor } from './door/door.ts';
import { type Egress, openEgress } from './door/egress.ts';
import { labelVariables } from './labels.ts';
import { type LaunchResult, type LaunchSpec, launch } from './launch.ts';
import { ownedName, ownerOf } from './owner.ts';
import { removeTree } from './remove-tree.ts';
import { type SandboxSpec, sandboxArguments } from './sandbox.ts';
import { type Stage, stageFiles } from './stage.ts';

/** What a spec says about code that nobody vouches for, and where what it writes lies. */
export interface Secluded {
  readonly seclusion: Seclusion;
  readonly written: readonly string[];
}

export interface SealedSpec extends Pick<LaunchSpec, 'timeoutMs' | 'signal' | 'onOutput' | 'secrets'> {
  readonly kind: 'run' | 'build';
  readonly labels: WorkloadLabels;
  readonly limits: Limits;
  readonly stage: Stage;
  readonly sandbox: (stage: string) => SandboxSpec;
  readonly secluded?: Secluded | undefined;
}

export interface SealedResult extends Omit<LaunchResult, 'killedBy'> {
  readonly killedBy?: 'timeout' | 'memory' | 'disk' | 'abort';
}

/** Runs one command to its end in a sandbox with its own resource group, and leaves nothing of both. */
export async function runSealed(context: EngineContext, spec: SealedSpec): Promise<SealedResult> {
  const name = await ownedName();
  const stage = join(context.home, 'engine/runs', name);
  const groupName = `${spec.kind}.${name}`;
  let egress: Egress | undefined;
  try {
    await mkdir(stage, { recursive: true, mode: 0o700 });
    await stageFiles(stage, spec.stage);
    const limits = withSandboxProcesses(spec.limits, spec.secluded !== undefined);
    const group = await createGroup(context.hierarchies, groupName, limits);
    const door = spec.secluded && (await makeDoor(stage, doorSpecOf(spec.secluded)));
    if (door !== undefined && spec.secluded?.seclusion.network === 'public')
      egress = await openEgress({ directory: door.directory, ...context.egress });
    const result = await launch({
      ...{ ...spec, door },
      bubblewrap: await findBubblewrap(context),
      args: sandboxArguments(behind(door, spec.sandbox(stage))),
      labels: { ...labelVariables(spec.labels), BOUGH_KIND: spec.kind, BOUGH_OWNER: ownerOf(name) ?? '' },
      groups: group.directories,
    });
    if (result.killedBy === undefined && (await reportOf(door)) === 'disk')
      return { ...result, killedBy: 'disk' };
    const isOutOfMemory =
      result.killedBy === undefined && (await countMemoryKills(group)) > 0 && result.exitCode !== 0;
    return isOutOfMemory ? { ...result, killedBy: 'memory' } : result;
  } finally {
    await egress?.close();
    await removeGroup(context.hierarchies, groupName);
    await removeTree(stage);
  }
}

const diskLookMs = 300;

function doorSpecOf({ seclusion, written }: Secluded): DoorSpec {
  return {
    listen: undefined,
    peers: seclusion.peers,
    egress: seclusion.network === 'public',
    disk: { bytes: seclusion.diskBytes, paths: written, everyMs: diskLookMs },
  };
}

/** A sandbox as it is with a door: a network of its own, and the inner half in front of the command. */
export function behind(door: Door | undefined, sandbox: SandboxSpec): SandboxSpec {
  if (door === undefined) return sandbox;
  return {
    ...sandbox,
    network: 'own',
    env: heldBack(sandbox.env),
    files: [...(sandbox.files ?? []), ...door.files],
  };
}

async function reportOf(door: Door | undefined): Promise<string | undefined> {
  return door && (await readFile(door.report, 'utf8').catch(() => undefined));
}

/** Bubblewrap's two halves and the shell that runs the command count too, and the two of a door. */
export function withSandboxProcesses(limits: Limits, hasDoor = false): Limits {
  const pids = limits.pids + 3;
  return hasDoor
    ? { ...limits, pids: pids + doorPids, memoryBytes: limits.memoryBytes + doorMemoryBytes }
    : { ...limits, pids };
}

/**
 * Lines in front of a command for what no control group limits here. They bind each process by itself, not all
 * together: less than a group, better than nothing.
 */
export function limitLines(
  context: Pick<EngineContext, 'hierarchies'>,
  {
    limits,
    seclusion,
    toolchains,
  }: { limits: Limits; seclusion?: Seclusion | undefined; toolchains: readonly string[] },
): string {
  const grouped = context.hierarchies.flatMap((hierarchy) => hierarchy.resources);
  const lines = [];
  if (!grouped.includes('memory')) {
    const dataBytes = limits.memoryBytes + reservedBytes(toolchains);
    lines.push(`ulimit -d ${Math.ceil(dataBytes / 1024)}`);
  }
  // RLIMIT_NPROC counts within the sandbox's own user namespace. dash says -p, bash -u.
  if (!grouped.includes('pids'))
    lines.push(`ulimit -p ${limits.pids} 2>/dev/null || ulimit -u ${limits.pids}`);
  // One file alone cannot fill the disk between two looks at it.
  if (seclusion) lines.push(`ulimit -f ${Math.ceil(seclusion.diskBytes / 512)}`);
  return lines.map((line) => `${line}\n`).join('');
}

/** Node reserves the room for its machine code at the start; from 24 on it does so in a way that counts as data. */
const NODE_CODE_BYTES = 512 * 1024 * 1024;

/** What a process may reserve and never use, on top of its limit: without it no Node 24 would start. */
function reservedBytes(toolchains: readonly string[]): number {
  const majors = toolchains.map((toolchain) => Number(/^nodejs:(\d+)/.exec(toolchain)?.[1] ?? 0));
  return Math.max(0, ...majors) >= 24 ? NODE_CODE_BYTES : 0;
}

/** Memory that the sandbox's temporary file systems may take: it counts as the workload's. */
export function temporaryBytes(limits: Limits): number {
  return Math.max(16 * 1024 * 1024, Math.floor(limits.memoryBytes / 2));
}
