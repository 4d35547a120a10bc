import type { BoughHome } from '@bough/boot/home';
import type { Engine } from '@bough/engine/engine';
import { createProcessEngine } from '@bough/engine/process/engine';
import { createToolchain } from '@bough/toolchain/toolchain';
import type { ServerConfig } from './config.ts';
import type { ServerLog } from './options.ts';

/** The server shows workloads and their logs; starting and stopping them is the worker's. */
export async function readOnlyEngine(
  config: ServerConfig,
  home: BoughHome,
  log: ServerLog,
): Promise<Pick<Engine, 'list' | 'logs'>> {
  const toolchain = createToolchain({ home: home.directories.toolchains, env: config.environment, log });
  return await createProcessEngine({ home: home.path, installationId: home.installationId, toolchain, log });
}
