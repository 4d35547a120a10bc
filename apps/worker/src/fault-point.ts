import { access, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { FaultPoint } from '@bough/reconcile/context';

const LOOK_MS = 25;

/**
 * For tests of crashes: whoever comes to a point waits there for as long as `<directory>/<slug>.<point>` exists, and says
 * with a file `….reached` that it does. `pr-1--tiny.after-build` stops that preview when its build is done and nobody
 * has noted so. Without BOUGH_FAULT_DIRECTORY there are no points at all.
 */
export function createFaultPoint(directory: string): FaultPoint {
  return async ({ slug, point, signal }) => {
    const file = join(directory, `${slug}.${point}`);
    while (await exists(file)) {
      await writeFile(`${file}.reached`, '');
      await delay(LOOK_MS, undefined, { signal }).catch(() => signal.throwIfAborted());
    }
  };
}

function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}
