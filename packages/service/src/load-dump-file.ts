import { type OpenedDump, openDump } from './open-dump.ts';
import { createReadMeter, type ReadMeter } from './read-meter.ts';
import type { LoadedSource, LoadOptions } from './service.ts';

/** Opens the file for whoever loads it, which says in words what it was, and closes it whatever happens. */
export async function loadDumpFile(
  path: string,
  { signal, line }: LoadOptions,
  load: (dump: OpenedDump, of: { meter: ReadMeter; signal: AbortSignal }) => Promise<string>,
): Promise<LoadedSource> {
  const meter = createReadMeter(line);
  const dump = await openDump(path, signal);
  try {
    const words = await load(dump, { meter, signal });
    meter.done();
    return { words };
  } finally {
    await dump.bytes.return(undefined);
  }
}
