import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';

/** Where a running Bough on this machine is: how the other verbs find it without being told. */
export const Running = z.object({ serverUrl: z.string(), publicUrl: z.string(), pid: z.number() });
export type Running = z.infer<typeof Running>;

const fileOf = (home: string): string => join(home, 'run', 'serve.json');

/** Returns how to take it back. */
export async function writeRunning(home: string, running: Running): Promise<() => Promise<void>> {
  const file = fileOf(home);
  await writeFile(`${file}.new`, JSON.stringify(running), { mode: 0o600 });
  await rename(`${file}.new`, file);
  return () => rm(file, { force: true });
}

export async function readRunning(home: string): Promise<Running | undefined> {
  const text = await readFile(fileOf(home), 'utf8').catch(() => undefined);
  return text === undefined ? undefined : Running.safeParse(JSON.parse(text)).data;
}
