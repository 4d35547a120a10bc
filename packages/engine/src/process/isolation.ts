import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { BoughError } from '@bough/domain/bough-error';
import { type EngineContext, findBubblewrap } from './context.ts';
import { launch } from './launch.ts';
import { ownedName } from './owner.ts';
import { removeTree } from './remove-tree.ts';
import { sandboxArguments } from './sandbox.ts';
import { stageFiles } from './stage.ts';

export type Isolation = { readonly ok: true } | { readonly ok: false; readonly reason: string };

const probeBytes = 1024 * 1024;

/** Really enters a sandbox and looks around: only then is it known whether this machine allows it. */
export async function probeIsolation(context: EngineContext, network?: 'own'): Promise<Isolation> {
  const stage = join(context.home, 'engine/runs', await ownedName());
  try {
    await mkdir(stage, { recursive: true, mode: 0o700 });
    // Process 1 is bubblewrap, and the home of Bough is out of sight.
    const looks = '[ -d /proc/1 ] && [ ! -e "$PROBE_HIDDEN" ] && [ "$$" -lt 10 ]';
    // No way to anywhere: one line of headings.
    const alone = network === 'own' ? ' && [ "$(wc -l </proc/net/route)" = 1 ]' : '';
    const command = `${looks}${alone} && echo isolated\n`;
    await stageFiles(stage, { hosts: {}, command });
    const result = await launch({
      bubblewrap: await findBubblewrap(context),
      args: sandboxArguments({
        ...{ network, base: context.base, stage, shown: [], mounts: [], sharedMemoryBytes: probeBytes },
        env: { PATH: '/usr/bin:/bin', PROBE_HIDDEN: stage },
        home: { memoryBytes: probeBytes },
        temporary: { memoryBytes: probeBytes },
      }),
      ...{ labels: {}, groups: [], timeoutMs: 10_000, secrets: [] },
    });
    if (result.exitCode === 0 && result.tail.includes('isolated')) return { ok: true };
    return {
      ok: false,
      reason: result.tail.join(' ').slice(0, 500) || `bwrap ended with exit code ${result.exitCode}`,
    };
  } catch (error) {
    if (error instanceof BoughError)
      return { ok: false, reason: `${error.message} ${error.hint ?? ''}`.trim() };
    throw error;
  } finally {
    await removeTree(stage);
  }
}
