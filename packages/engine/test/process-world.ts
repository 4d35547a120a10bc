import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createToolchain } from '@bough/toolchain/toolchain';
import type { EngineWorld } from '../src/contract.ts';
import { createProcessEngine, type ProcessEngine, type ProcessEngineOptions } from '../src/process/engine.ts';

export const silent = { info: () => undefined, warn: () => undefined };

export interface ProcessWorld extends EngineWorld {
  readonly engine: ProcessEngine;
  readonly home: string;
  readonly root: string;
  another(options?: Partial<ProcessEngineOptions>): Promise<ProcessEngine>;
}

/** A process engine in a home of its own. Toolchains are shared between test files: the machine's, else unpacked once. */
export async function createProcessWorld(options: Partial<ProcessEngineOptions> = {}): Promise<ProcessWorld> {
  const root = await mkdtemp(join(tmpdir(), 'bough-engine-'));
  const home = join(root, 'home');
  const installationId = `t${process.pid}${Math.floor(performance.now() * 1000)}`;
  const toolchain = createToolchain({ home: sharedTools(), env: { PATH: process.env.PATH }, log: silent });
  let directories = 0;
  const another = (more: Partial<ProcessEngineOptions> = {}) =>
    createProcessEngine({ home, installationId, toolchain, log: silent, ...options, ...more });
  const directory = async () => {
    const path = join(root, `directory-${++directories}`);
    await mkdir(path);
    return path;
  };
  return {
    ...{ engine: await another(), home, root, installationId, another, directory, executes: true },
    toolchain: `nodejs:${process.versions.node.split('.')[0]}`,
    restarted: () => another(),
    stranger: () => another({ installationId: `${installationId}x`, home: join(root, 'other-home') }),
    dispose: () => rm(root, { recursive: true }),
  };
}

/** Kept between runs: fetching a tool takes longer than all tests. */
export function sharedTools(): string {
  return join(tmpdir(), `bough-test-toolchains-${process.getuid?.() ?? 0}`);
}
