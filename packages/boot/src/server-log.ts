import { copyFile, open, readFile, stat, truncate, writeFile } from 'node:fs/promises';

/**
 * The log file of a server that outlives us: a pipe would break when we are killed. Opened for appending, so that it can
 * be cut short under the server's hands.
 */
export async function withLogFile<Result>(
  file: string,
  use: (fd: number) => Promise<Result>,
): Promise<Result> {
  const handle = await open(file, 'a', 0o600);
  try {
    return await use(handle.fd);
  } finally {
    await handle.close();
  }
}

const maxBytes = 8 * 1024 * 1024;
const checkEveryMs = 60_000;

/** Keeps a log within twice `maxBytes`: the file and one older one. Does not keep Node running. */
export function boundLogFile(file: string): () => void {
  const timer = setInterval(() => void shorten(file), checkEveryMs);
  timer.unref();
  return () => clearInterval(timer);
}

async function shorten(file: string): Promise<void> {
  const entry = await stat(file).catch(() => undefined);
  if (!entry || entry.size < maxBytes) return;
  // Best effort: on a full disk only the truncation, which makes room, has to succeed.
  await copyFile(file, `${file}.1`).catch(() => undefined);
  await truncate(file, 0).catch(() => undefined);
}

export async function emptyLogFile(file: string): Promise<void> {
  await copyFile(file, `${file}.1`).catch(() => undefined);
  await writeFile(file, '', { mode: 0o600 });
}

export async function logTail(file: string, lines = 12): Promise<string[]> {
  const text = await readFile(file, 'utf8').catch(() => '');
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.slice(0, 500))
    .slice(-lines);
}
