import { join } from 'node:path';
import { openHome, requireHome } from '@bough/boot/home';
import { createLogger } from '@bough/boot/logger';
import { createProcessEngine } from '@bough/engine/process/engine';
import { createToolchain } from '@bough/toolchain/toolchain';
import type { Command } from 'commander';
import type { VerbContext } from '../verb.ts';

export function downVerb(program: Command, context: VerbContext): void {
  program
    .command('down')
    .description('stop every workload of this installation; data stays, and `bough serve` starts them again')
    .action(async () => {
      await requireHome(context.config.home);
      const stopped = await stopWorkloads(context.config.home, context.config.environment);
      context.output.result({ stopped }, () => `${stopped} workload(s) stopped.`);
    });
}

/** Workloads outlive `bough serve` on purpose; this is for who wants the machine back. Returns how many there were. */
export async function stopWorkloads(
  path: string,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<number> {
  const log = createLogger({ level: 'warn' });
  const home = await openHome({ path });
  const engine = await createProcessEngine({
    home: home.path,
    installationId: home.installationId,
    toolchain: createToolchain({ home: join(home.path, 'toolchains'), env: environment, log }),
    log,
  });
  const workloads = await engine.list();
  await Promise.all(workloads.map((workload) => engine.stop(workload.id)));
  return workloads.length;
}
