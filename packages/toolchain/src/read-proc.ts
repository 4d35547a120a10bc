import { readFileSync } from 'node:fs';

/**
 * A file of /proc, undefined when its process is gone. Read at once: the kernel makes these in memory, and handing each to
 * a thread costs several times what reading it does; Bough reads thousands.
 */
export function readProc(path: `/proc/${string}`, encoding: 'utf8' | 'latin1' = 'utf8'): string | undefined {
  try {
    return readFileSync(path, encoding);
  } catch {
    return undefined;
  }
}
