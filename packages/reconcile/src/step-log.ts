import { createWriteStream } from 'node:fs';
import { mkdir, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import { redact, type Secret } from '@bough/domain/secret';

/** A step's log is cut here: more is a runaway build, not information. */
const LOG_BYTES_MAX = 10 * 1024 * 1024;

export interface StepLog {
  line(text: string): void;
  close(): Promise<void>;
}

/** The logs of all steps. */
export interface StepLogs {
  open(step: { deploymentId: string; name: string }, secrets: () => Iterable<Secret>): Promise<StepLog>;
  /** Removes the logs of a deployment; the absent ones too. */
  remove(deploymentId: string): Promise<void>;
}

/** Files below a directory. */
export function createStepLogs(logs: string): StepLogs {
  return {
    open: (step, secrets) => openStepLog(logs, step, secrets),
    remove: (deploymentId) => rm(join(logs, 'deployments', deploymentId), { recursive: true, force: true }),
  };
}

export interface LogsOnDisk {
  readonly deploymentId: string;
  readonly sizeBytes: number;
  readonly lastUsedAt: Date;
}

/** The logs of each deployment: a handful of files, each with a bound. */
export async function listStepLogs(logs: string): Promise<LogsOnDisk[]> {
  const root = join(logs, 'deployments');
  const ids = await readdir(root).catch(() => []);
  const found: LogsOnDisk[] = [];
  for (const deploymentId of ids) {
    const names = await readdir(join(root, deploymentId)).catch(() => []);
    let [sizeBytes, last] = [0, 0];
    for (const name of names) {
      const entry = await stat(join(root, deploymentId, name)).catch(() => undefined);
      sizeBytes += (entry?.blocks ?? 0) * 512;
      last = Math.max(last, entry?.mtimeMs ?? 0);
    }
    found.push({ deploymentId, sizeBytes, lastUsedAt: new Date(last) });
  }
  return found;
}

/** Where a step writes: `<logs>/deployments/<id>/<step>.log`. Known secrets are filtered out of every line. */
export async function openStepLog(
  logs: string,
  step: { deploymentId: string; name: string },
  secrets: () => Iterable<Secret>,
): Promise<StepLog> {
  const directory = join(logs, 'deployments', step.deploymentId);
  await mkdir(directory, { recursive: true });
  const path = join(directory, `${step.name}.log`);
  // A resumed step writes on where it was, and has no more room than one that was never interrupted.
  let written = await stat(path).then(
    ({ size }) => size,
    () => 0,
  );
  const stream = createWriteStream(path, { flags: 'a', mode: 0o600 });
  let failed = false;
  // A full disk must not end the deployment because of its log.
  stream.on('error', () => {
    failed = true;
  });
  return {
    line(text) {
      if (failed || written > LOG_BYTES_MAX) return;
      const line = `${redact(text, secrets())}\n`;
      written += Buffer.byteLength(line);
      stream.write(written > LOG_BYTES_MAX ? 'Bough: the rest of this log is cut off at 10 MiB\n' : line);
    },
    async close() {
      if (failed) return;
      stream.end();
      await finished(stream).catch(() => {});
    },
  };
}
