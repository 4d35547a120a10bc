import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { embeddedPackageDirectories } from '@bough/boot/embedded-toolchain';
import { freePort } from '@bough/boot/free-port';
import { BoughError } from '@bough/domain/bough-error';
import { defaultBuildEnvironment } from '@bough/engine/process/build-environment';
import { createToolchain, toolchainEnvironment } from '@bough/toolchain/toolchain';
import type { Surroundings } from './benchmark.ts';

const SCRIPT = fileURLToPath(new URL('deploy-by-hand.sh', import.meta.url));
const LATEST_MS = 300_000;
const STOP_MS = 10_000;

export interface HandRun {
  /** From starting the script to the first good answer of the app. */
  readonly readyMs: number;
  readonly parts: readonly { readonly name: string; readonly ms: number }[];
}

/** The script beside Bough: the same commit, the same binaries, the same registry, the same kind of copy. */
export interface ByHand {
  preview(commit: string): Promise<HandRun>;
}

export async function prepareByHand(
  options: {
    directory: string;
    /** Bough's own: tools that were materialised there are not fetched again. */
    toolchains: string;
    repositoryUrl: string;
    /** What the golden data are made by. */
    commit: string;
    storage: string;
  },
  { shutdown, environment }: Surroundings,
): Promise<ByHand> {
  const { directory, storage, repositoryUrl } = options;
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const toolchain = createToolchain({
    home: options.toolchains,
    env: environment,
    log: { info() {} },
    packageDirectories: embeddedPackageDirectories(),
  });
  const wants = ['git', 'nodejs:22', 'postgresql:17', 'redis:7.0'];
  const tools = await Promise.all(wants.map((want) => toolchain.resolve(want)));
  const { env, npmrc = '' } = await defaultBuildEnvironment(environment, homedir());
  await writeFile(join(directory, 'npmrc'), npmrc, { mode: 0o600 });
  const variables = {
    ...env,
    ...toolchainEnvironment(tools),
    HOME: directory,
    LC_ALL: 'C',
    NPM_CONFIG_USERCONFIG: join(directory, 'npmrc'),
    npm_config_cache: join(directory, 'npm-cache'),
    SHOP_NAME: 'Fern & Fir',
    GOLDEN: join(directory, 'golden'),
    MIRROR: join(directory, 'mirror.git'),
    WORK: join(directory, 'work'),
    STORAGE: storage,
    REPOSITORY_URL: repositoryUrl,
  };
  let running: Promise<unknown> = Promise.resolve();
  // What it started must be gone before its directory is removed.
  shutdown.onShutdown('script by hand', async () => {
    stopRunning.abort();
    await running;
  });
  const stopRunning = new AbortController();
  const run = async (mode: 'prepare' | 'preview', commit: string) => {
    const env = { ...variables, COMMIT: commit, ...(await freePorts()) };
    const result = runScript(mode, env, stopRunning.signal);
    running = result.catch(() => {});
    return await result;
  };
  await run('prepare', options.commit);
  return { preview: (commit) => run('preview', commit) };
}

async function freePorts(): Promise<Record<string, string>> {
  const ports = { POSTGRES_PORT: 0, REDIS_PORT: 0, WEB_PORT: 0 };
  const entries: [string, string][] = [];
  for (const name of Object.keys(ports)) entries.push([name, String(await freePort())]);
  return Object.fromEntries(entries);
}

/** Runs it in a process group of its own, so that nothing of it outlives a measurement that is broken off. */
async function runScript(mode: string, env: Record<string, string>, signal: AbortSignal): Promise<HandRun> {
  signal.throwIfAborted();
  const startedAt = Date.now();
  const script = spawn('bash', [SCRIPT, mode], { env, detached: true, stdio: ['pipe', 'pipe', 'pipe'] });
  const ended = once(script, 'close') as Promise<[number | null]>;
  let stubborn: NodeJS.Timeout | undefined;
  const stop = () => {
    killGroup(script.pid, 'SIGTERM');
    stubborn ??= setTimeout(() => killGroup(script.pid, 'SIGKILL'), STOP_MS);
  };
  const timer = setTimeout(stop, LATEST_MS);
  signal.addEventListener('abort', stop, { once: true });
  let complaints = '';
  script.stderr.on('data', (chunk: Buffer) => {
    complaints = `${complaints}${chunk}`.slice(-4_000);
  });
  const parts: { name: string; ms: number }[] = [];
  let readyMs: number | undefined;
  for await (const line of createInterface({ input: script.stdout })) {
    const [word, name = '', microseconds] = line.split(' ');
    if (word === 'step') parts.push({ name: name.replaceAll('-', ' '), ms: Number(microseconds) / 1000 });
    if (word !== 'ready') continue;
    readyMs = Date.now() - startedAt;
    script.stdin.end();
  }
  const [code] = await ended;
  clearTimeout(timer);
  clearTimeout(stubborn);
  signal.removeEventListener('abort', stop);
  signal.throwIfAborted();
  if (code === 0 && (readyMs !== undefined || mode === 'prepare')) return { readyMs: readyMs ?? 0, parts };
  throw new BoughError({
    code: 'bench-script-failed',
    message: `The script by hand (${mode}) ended with exit code ${code}.`,
    tail: complaints.split('\n').slice(-20),
  });
}

function killGroup(pid: number | undefined, signal: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch {
    // It is gone already.
  }
}
