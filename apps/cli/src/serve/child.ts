import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { BoughError } from '@bough/domain/bough-error';

/** A process of Bough: server, worker or gateway. Started again when it dies, until it is stopped. */
export interface Child {
  readonly name: string;
  /** Resolves when it said that it is ready. */
  readonly ready: Promise<void>;
  readonly pid: () => number | undefined;
  stop(): Promise<void>;
}

const START = fileURLToPath(new URL('../../bin/start.js', import.meta.url));
const RESTART_FIRST_MS = 200;
const RESTART_MAX_MS = 10_000;
/** Dying this often before ever being ready is a mistake in the configuration, which a restart does not mend. */
const STARTS_MAX = 3;
const STOP_GRACE_MS = 15_000;
const HEALTHY_AFTER_MS = 30_000;

export function startChild(options: {
  name: string;
  /** URL of its main.ts. */
  main: URL;
  environment: Readonly<Record<string, string | undefined>>;
  /** Appended to; standard output and error of this process when undefined. */
  logFile: string | undefined;
  log: { info(fields: object, message: string): void; warn(fields: object, message: string): void };
}): Child {
  const { name, log } = options;
  let current: ChildProcess | undefined;
  let stopping = false;
  let isReady = false;
  let becomeReady = () => {};
  let fail = (_: Error) => {};
  const ready = new Promise<void>((resolve, reject) => {
    becomeReady = resolve;
    fail = reject;
  });
  // Whoever does not wait for it must not be ended by it.
  ready.catch(() => {});

  async function run(): Promise<void> {
    let failures = 0;
    while (!stopping) {
      const startedAt = Date.now();
      const output = options.logFile === undefined ? 'inherit' : openSync(options.logFile, 'a', 0o600);
      const child = spawn(process.execPath, [START, options.main.pathname], {
        env: { ...options.environment },
        stdio: ['ignore', output, output, 'ipc'],
      });
      current = child;
      if (typeof output === 'number') closeSync(output);
      child.on('message', (message) => {
        if (message !== 'ready') return;
        isReady = true;
        becomeReady();
      });
      const { code, signal } = await ended(child);
      current = undefined;
      if (stopping) return;
      failures = Date.now() - startedAt > HEALTHY_AFTER_MS ? 0 : failures + 1;
      log.warn({ process: name, code, signal, failures }, 'a process of Bough ended; it is started again');
      if (!isReady && failures >= STARTS_MAX) {
        fail(
          new BoughError({
            code: 'process-does-not-start',
            message: `The ${name} ended ${failures} times before it was ready (exit code ${code ?? signal}).`,
            hint: 'Its last log lines above say why. `bough doctor` looks at the machine.',
          }),
        );
        return;
      }
      await delay(Math.min(RESTART_MAX_MS, RESTART_FIRST_MS * 2 ** failures));
    }
  }
  const running = run();

  return {
    name,
    ready,
    pid: () => current?.pid,
    async stop() {
      stopping = true;
      const child = current;
      if (child === undefined) return;
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_GRACE_MS);
      await running;
      clearTimeout(timer);
    },
  };
}

/** A process that could not be started at all (no memory, no file handles) has ended too. */
function ended(
  child: ChildProcess,
): Promise<{ code: number | string | null; signal: NodeJS.Signals | null }> {
  return new Promise((resolve) => {
    child.once('error', (error) => resolve({ code: error.message, signal: null }));
    child.once('exit', (code, signal) => resolve({ code, signal }));
  });
}
