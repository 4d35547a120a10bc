import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { diskDirectory } from '@bough/testkit/memory-directory';
import { createTempHome } from '@bough/testkit/temp-home';
import { testToolchain } from '@bough/testkit/test-toolchain';
import type { EngineWorld } from '../src/contract.ts';
import type { BuildSpec, RunSpec, WorkloadSpec } from '../src/engine.ts';
import { createProcessEngine, type ProcessEngine, type ProcessEngineOptions } from '../src/process/engine.ts';

export const silent = { info: () => undefined, warn: () => undefined };

export interface ProcessWorld extends EngineWorld {
  readonly engine: ProcessEngine;
  readonly home: string;
  another(options?: Partial<ProcessEngineOptions>): Promise<ProcessEngine>;
  workload(more?: Partial<WorkloadSpec>): WorkloadSpec;
  oneOff(command: string, more?: Partial<RunSpec>): RunSpec;
  building(more: Partial<BuildSpec> & { source: string }): BuildSpec;
}

let worlds = 0;

/** A process engine in a home of its own. */
export async function createProcessWorld(options: Partial<ProcessEngineOptions> = {}): Promise<ProcessWorld> {
  const temporary = await createTempHome('engine', diskDirectory());
  const home = join(temporary.path, 'home');
  const installationId = `t${process.pid}w${++worlds}`;
  const toolchain = await testToolchain();
  let names = 0;
  const another = (more: Partial<ProcessEngineOptions> = {}) =>
    createProcessEngine({ home, installationId, toolchain, log: silent, ...options, ...more });
  const directory = async () => {
    const path = join(temporary.path, `directory-${++names}`);
    await mkdir(path);
    return path;
  };
  return {
    ...{ engine: await another(), home, installationId, another, directory, executes: true },
    toolchain: `nodejs:${process.versions.node.split('.')[0]}`,
    restarted: () => another(),
    stranger: () =>
      another({ installationId: `${installationId}x`, home: join(temporary.path, 'other-home') }),
    dispose: () => temporary.remove(),
    workload: (more = {}) => ({ ...workloadSpec(installationId, `${installationId}-w${++names}`), ...more }),
    oneOff: (command, more = {}) => ({
      ...surroundings(),
      ...{ labels: labelsOf(installationId), command, timeoutMs: 30_000 },
      ...more,
    }),
    building: (more) => ({
      ...{ key: `${installationId}-k${++names}`, toolchains: [], hook: null, env: {} },
      ...{ cache: { key: 'cache', mode: 'throwaway' }, labels: labelsOf(installationId) },
      ...{ limits: surroundings().limits, timeoutMs: 60_000 },
      ...more,
    }),
  };
}

export function workloadSpec(installationId: string, id: string): WorkloadSpec {
  return {
    ...{
      ...surroundings(),
      id,
      labels: labelsOf(installationId),
      command: 'exec sleep 1000',
      listens: false,
    },
    ...{ stopSignal: 'SIGTERM', stopGraceMs: 2_000 },
  };
}

function labelsOf(installationId: string) {
  return { installationId, environmentId: '1', role: 'web' as const, name: 'app' };
}

function surroundings() {
  const limits = { memoryBytes: 256 * 1024 * 1024, pids: 100, cpus: 1 };
  return { toolchains: [], env: {}, mounts: [], hosts: {}, limits };
}
