import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readRunning } from '@bough/cli/serve/running';
import { compiledEnvironment } from '@bough/testkit/compiled-programs';
import { processesOf } from '@bough/testkit/leaks';
import { waitFor } from '@bough/testkit/wait-for';

export type ProcessName = 'server' | 'worker' | 'gateway';

/** `bough serve` as an operator runs it: a process of its own, so that it can be killed with everything it started. */
export interface BoughProcess {
  readonly home: string;
  readonly logFile: string;
  start(): Promise<void>;
  /** SIGTERM, and waits; fails when it does not end well. */
  stop(): Promise<void>;
  /** SIGKILL to `serve`, server, worker and gateway at once. Its Postgres and Redis live on, as they would. */
  killAll(): Promise<void>;
  /** SIGKILL; `serve` starts another one. Returns when the old one is gone. */
  kill(name: ProcessName): Promise<void>;
  pidOf(name: ProcessName): Promise<number | undefined>;
  /** Addresses of the databases, as the worker was given them. */
  databaseUrl(): Promise<string>;
  redisUrl(): Promise<string>;
  /** What `serve` gave the worker: for a process that does a part of its work. */
  workerEnvironment(): Promise<Record<string, string>>;
  /** The last lines of everything that it wrote. */
  log(lines?: number): Promise<string>;
}

const bin = fileURLToPath(new URL('../../apps/cli/bin/bough.js', import.meta.url));
const START_MS = 120_000;
const STOP_MS = 90_000;

export function createBoughProcess(options: {
  home: string;
  logFile: string;
  environment: Readonly<Record<string, string>>;
}): BoughProcess {
  const { home, logFile } = options;
  let child: ChildProcess | undefined;

  const ofHome = () => processesOf({ marker: `BOUGH_HOME=${home}\0` });
  const pidOf = async (name: ProcessName) =>
    (await ofHome()).find((process) => process.command.includes(`/apps/${name}/src/main.ts`))?.pid;
  const workerEnvironment = () =>
    waitFor("the worker's variables", async () => {
      const pid = await pidOf('worker');
      const text = pid === undefined ? '' : await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '');
      const entries = text.split('\0').map((entry) => /^([^=]+)=(.*)$/s.exec(entry)?.slice(1) ?? []);
      const variables: Record<string, string> = Object.fromEntries(
        entries.filter(([name]) => name !== undefined),
      );
      return variables.DATABASE_URL === undefined ? undefined : variables;
    });
  const variable = async (name: string) => (await workerEnvironment())[name] ?? '';
  const log = async (lines = 80) =>
    (await readFile(logFile, 'utf8').catch(() => '')).split('\n').slice(-lines).join('\n');

  return {
    home,
    logFile,
    pidOf,
    log,
    databaseUrl: () => variable('DATABASE_URL'),
    redisUrl: () => variable('REDIS_URL'),
    workerEnvironment,
    async start() {
      const output = openSync(logFile, 'a', 0o600);
      const started = spawn(process.execPath, [bin, 'serve'], {
        env: { ...options.environment, BOUGH_HOME: home },
        stdio: ['ignore', output, output],
        // A terminal's Ctrl-C ends the test run, which then stops this in order.
        detached: true,
      });
      closeSync(output);
      child = started;
      try {
        await waitFor(
          'bough serve to be ready',
          async () => started.exitCode !== null || (await readRunning(home))?.pid === started.pid,
          { timeoutMs: START_MS, intervalMs: 50 },
        );
      } catch (error) {
        throw new Error(`${String(error)}\n${await log()}`);
      }
      if (started.exitCode !== null) throw new Error(`bough serve ended at once\n${await log()}`);
    },
    async stop() {
      const running = child;
      child = undefined;
      if (running === undefined || running.exitCode !== null || running.signalCode !== null) return;
      const ended = once(running, 'exit');
      running.kill('SIGTERM');
      const timer = setTimeout(() => running.kill('SIGKILL'), STOP_MS);
      const [code] = (await ended) as [number | null];
      clearTimeout(timer);
      if (code !== 0) throw new Error(`bough serve ended with ${code}\n${await log()}`);
    },
    async killAll() {
      const pids = (await ofHome()).map((process) => process.pid);
      const ended = child && once(child, 'exit');
      // The parent first, or it would start the others again.
      for (const pid of child?.pid === undefined ? pids : [child.pid, ...pids]) sendKill(pid);
      child = undefined;
      await ended;
      await waitFor('the killed processes to be gone', async () => (await ofHome()).length === 0);
    },
    async kill(name) {
      const pid = await pidOf(name);
      if (pid === undefined) throw new Error(`there is no ${name} to kill`);
      sendKill(pid);
      await waitFor(`${name} ${pid} to be gone`, async () => (await pidOf(name)) !== pid);
    },
  };
}

function sendKill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** What an operator's shell would have, without what belongs to this test run. */
export function operatorEnvironment(home: string): Record<string, string> {
  const foreign =
    /^(BOUGH_|GITHUB_|VITEST|DATABASE_URL$|REDIS_URL$|NODE_OPTIONS$|NODE_ENV$|TEST$|DEV$|PROD$)/;
  return {
    ...Object.fromEntries(
      Object.entries(process.env).filter(
        (entry): entry is [string, string] => entry[1] !== undefined && !foreign.test(entry[0]),
      ),
    ),
    TMPDIR: join(home, '..', 'tmp'),
    ...compiledEnvironment(),
    // Where stage.ts says. Not in use otherwise (apps/cli/bin/load.js).
    TSX_DISABLE_CACHE: '',
  };
}
