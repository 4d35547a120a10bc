import type { ChildProcess } from 'node:child_process';

const graceMs = 5_000;

/** One that waits for its source writes nothing, so that a closed pipe does not end it. */
export function stopReader(reader: ChildProcess): void {
  if (reader.exitCode !== null || reader.signalCode !== null) return;
  reader.kill('SIGTERM');
  const timer = setTimeout(() => reader.kill('SIGKILL'), graceMs);
  reader.once('exit', () => clearTimeout(timer));
}
