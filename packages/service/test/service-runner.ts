import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, readlink, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Secret } from '@bough/domain/secret';
import { freePort } from '@bough/testkit/free-port';
import { testToolchain } from '@bough/testkit/test-toolchain';
import { type ResolvedToolchain, toolchainEnvironment } from '@bough/toolchain/toolchain';
import type { Address, RunBeside, ServiceProgram } from '../src/service.ts';

/** A home for one test file: toolchains, volumes and the servers that run on them. `close` leaves nothing. */
export interface ServiceRunner {
  readonly home: string;
  volume(): Promise<string>;
  /** Initialises and starts a program as an engine does: sandboxed, the volume at /data. */
  start(options: StartOptions): Promise<RunningService>;
  /** What an engine gives to `join`. */
  beside(toolchain: string): RunBeside;
  killAll(): Promise<void>;
  close(): Promise<void>;
}

export interface StartOptions {
  readonly toolchain: string;
  readonly program: ServiceProgram;
  readonly volume?: string;
  readonly port?: number;
}

export interface RunningService {
  readonly address: Address;
  output(): string;
  /** The stop signal, then a wait for the end; its exit code. */
  stop(): Promise<number | null>;
  kill(): Promise<void>;
}

export async function createServiceRunner(): Promise<ServiceRunner> {
  const home = await mkdtemp(join(tmpdir(), 'bough-service-'));
  const running = new Set<RunningService>();
  const toolchain = await testToolchain();
  const bubblewrap = await toolchain.resolve('bubblewrap');
  let volumes = 0;
  return {
    home,
    async volume() {
      volumes += 1;
      const path = join(home, `volume-${volumes}`);
      await mkdir(path, { mode: 0o700 });
      return path;
    },
    async start({ toolchain: wanted, program, volume, port }) {
      const tool = await toolchain.resolve(wanted);
      const usedPort = port ?? (await freePort());
      const mounts = volume === undefined ? [] : ['--bind', volume, '/data'];
      const launch = (script: string) =>
        spawnSandboxed({ script, program, tool, bubblewrap, mounts, port: usedPort });
      if (program.initialise !== undefined) await finish(await launch(program.initialise));
      const service = supervise(await launch(program.command), program, usedPort, running);
      running.add(service);
      return service;
    },
    beside: (wanted) => async (program, paths) => {
      const tool = await toolchain.resolve(wanted);
      const mounts = ['--ro-bind', paths.source, '/data', '--bind', paths.copy, '/copy'];
      const script = program.command;
      const child = await spawnSandboxed({ script, program, tool, bubblewrap, mounts, port: 0 });
      const output = collect(child);
      const [exitCode] = await once(child, 'close');
      return { exitCode, tail: output().split('\n').slice(-50) };
    },
    killAll: () => killAll(running),
    async close() {
      await killAll(running);
      await rm(home, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
    },
  };
}

async function killAll(running: ReadonlySet<RunningService>): Promise<void> {
  for (const service of running) await service.kill();
}

interface Launch {
  readonly script: string;
  readonly program: Pick<ServiceProgram, 'env'>;
  readonly tool: ResolvedToolchain;
  readonly bubblewrap: ResolvedToolchain;
  readonly mounts: readonly string[];
  readonly port: number;
}

async function spawnSandboxed({
  script,
  program,
  tool,
  bubblewrap,
  mounts,
  port,
}: Launch): Promise<ChildProcess> {
  const flags = ['--unshare-user', '--uid', '1000', '--gid', '1000', '--unshare-pid', '--unshare-ipc'];
  for (const path of ['/usr', '/etc']) flags.push('--ro-bind', path, path);
  for (const path of ['/bin', '/sbin', '/lib', '/lib64']) {
    if (existsSync(path)) flags.push('--symlink', await readlink(path), path);
  }
  flags.push('--proc', '/proc', '--dev', '/dev', '--tmpfs', '/tmp', '--die-with-parent', '--new-session');
  for (const root of tool.roots) flags.push('--ro-bind', root, root);
  flags.push(...mounts);
  const env = Object.fromEntries(
    Object.entries(program.env).map(([name, value]) => [
      name,
      value instanceof Secret ? value.reveal() : value,
    ]),
  );
  return spawn(join(bubblewrap.bin[0] ?? '', 'bwrap'), [...flags, '--', '/bin/dash', '-c', script], {
    env: { ...toolchainEnvironment([tool, bubblewrap]), ...env, PORT: String(port) },
    stdio: ['ignore', 'pipe', 'pipe'],
    cwd: '/',
  });
}

function collect(child: ChildProcess): () => string {
  let text = '';
  const add = (chunk: Buffer) => {
    text = (text + chunk.toString()).slice(-200_000);
  };
  child.stdout?.on('data', add);
  child.stderr?.on('data', add);
  return () => text;
}

async function finish(child: ChildProcess): Promise<void> {
  const output = collect(child);
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`initialise ended with ${code}:\n${output()}`);
}

function supervise(
  child: ChildProcess,
  program: ServiceProgram,
  port: number,
  running: Set<RunningService>,
): RunningService {
  const output = collect(child);
  const closed = once(child, 'close').then(([code]: unknown[]) => code as number | null);
  const service: RunningService = {
    address: { host: '127.0.0.1', port },
    output,
    async stop() {
      const server = await serverOf(child);
      if (server !== undefined) process.kill(server, program.stopSignal);
      const code = await closed;
      running.delete(service);
      return code;
    },
    async kill() {
      child.kill('SIGKILL');
      await closed;
      running.delete(service);
    },
  };
  return service;
}

/** bwrap → its init → the server: the stop signal goes to the server alone, as an engine sends it. */
async function serverOf(child: ChildProcess): Promise<number | undefined> {
  if (child.exitCode !== null || child.pid === undefined) return undefined;
  const childOf = async (pid: number) =>
    Number((await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')).trim().split(' ')[0]);
  return childOf(await childOf(child.pid));
}
