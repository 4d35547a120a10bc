import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Limits, WorkloadLabels } from '../engine.ts';
import { countMemoryKills, createGroup, removeGroup } from './cgroup.ts';
import { type EngineContext, findBubblewrap } from './context.ts';
import { labelVariables } from './labels.ts';
import { type LaunchResult, type LaunchSpec, launch } from './launch.ts';
import { ownedName, ownerOf } from './owner.ts';
import { removeTree } from './remove-tree.ts';
import { type SandboxSpec, sandboxArguments } from './sandbox.ts';
import { type Stage, stageFiles } from './stage.ts';

export interface SealedSpec extends Pick<LaunchSpec, 'timeoutMs' | 'signal' | 'onOutput' | 'secrets'> {
  readonly kind: 'run' | 'build';
  readonly labels: WorkloadLabels;
  readonly limits: Limits;
  readonly stage: Stage;
  readonly sandbox: (stage: string) => SandboxSpec;
}

export interface SealedResult extends Omit<LaunchResult, 'killedBy'> {
  readonly killedBy?: 'timeout' | 'memory' | 'abort';
}

/** Runs one command to its end in a sandbox with its own resource group, and leaves nothing of both. */
export async function runSealed(context: EngineContext, spec: SealedSpec): Promise<SealedResult> {
  const name = await ownedName();
  const stage = join(context.home, 'engine/runs', name);
  const groupName = `${spec.kind}.${name}`;
  try {
    await mkdir(stage, { recursive: true, mode: 0o700 });
    await stageFiles(stage, spec.stage);
    const group = await createGroup(context.hierarchies, groupName, withSandboxProcesses(spec.limits));
    const result = await launch({
      ...spec,
      bubblewrap: await findBubblewrap(context),
      args: sandboxArguments(spec.sandbox(stage)),
      labels: { ...labelVariables(spec.labels), BOUGH_KIND: spec.kind, BOUGH_OWNER: ownerOf(name) ?? '' },
      groups: group.directories,
    });
    const isOutOfMemory =
      result.killedBy === undefined && (await countMemoryKills(group)) > 0 && result.exitCode !== 0;
    return isOutOfMemory ? { ...result, killedBy: 'memory' } : result;
  } finally {
    await removeGroup(context.hierarchies, groupName);
    await removeTree(stage);
  }
}

/** Bubblewrap's two halves and the shell that runs the command count too. */
export function withSandboxProcesses(limits: Limits): Limits {
  return { ...limits, pids: limits.pids + 3 };
}

/**
 * Lines in front of a command for what no control group limits here. They bind each process by itself, not all
 * together: less than a group, better than nothing.
 */
export function limitLines(context: Pick<EngineContext, 'hierarchies'>, limits: Limits): string {
  const grouped = context.hierarchies.flatMap((hierarchy) => hierarchy.resources);
  const lines = [];
  if (!grouped.includes('memory')) lines.push(`ulimit -d ${Math.ceil(limits.memoryBytes / 1024)}`);
  // RLIMIT_NPROC counts within the sandbox's own user namespace. dash says -p, bash -u.
  if (!grouped.includes('pids'))
    lines.push(`ulimit -p ${limits.pids} 2>/dev/null || ulimit -u ${limits.pids}`);
  return lines.map((line) => `${line}\n`).join('');
}

/** Memory that the sandbox's temporary file systems may take: it counts as the workload's. */
export function temporaryBytes(limits: Limits): number {
  return Math.max(16 * 1024 * 1024, Math.floor(limits.memoryBytes / 2));
}
