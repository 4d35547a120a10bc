import { randomBytes } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort } from '@bough/boot/free-port';
import type { BootLog } from '@bough/boot/logger';
import type { Shutdown } from '@bough/boot/signals';
import { type SandboxForge, startSandboxForge } from '@bough/sandbox/sandbox-forge';
import { createToolchain, toolchainEnvironment } from '@bough/toolchain/toolchain';
import { type ApiClient, connectApi } from '../api-client.ts';
import { readServeConfig } from '../serve/config.ts';
import { type Serving, serve } from '../serve/serve.ts';

/** A whole Bough beside a forge of its own, on one machine: what the demo, the end-to-end tests and the benchmarks act on. */
export interface Stage {
  readonly forge: SandboxForge;
  readonly bough: Serving;
  readonly api: ApiClient;
}

/** The example project's files, as a repository has them. */
export const EXAMPLE = fileURLToPath(new URL('../../../../examples/shop', import.meta.url));

/** What the demo's pull request changes: a folder per push. */
export const CHANGES = fileURLToPath(new URL('../../../../examples/shop-change', import.meta.url));

export async function startStage(
  options: {
    /** BOUGH_HOME. The forge keeps its repositories beside it. */
    home: string;
    forgeHome: string;
    environment: Readonly<Record<string, string | undefined>>;
    /** Taken when they are free; any others otherwise. */
    ports?: { server: number; gateway: number; forge: number };
    onProgress?: (text: string) => void;
  },
  shutdown: Shutdown,
  log: BootLog,
): Promise<Stage> {
  const token = `sandbox_${randomBytes(12).toString('hex')}`;
  const git = await resolveGit(options, shutdown, log);
  options.onProgress?.('starting a small forge');
  const port = options.ports?.forge ?? 0;
  const forge = await startSandboxForge({ home: options.forgeHome, token, port, git });
  shutdown.onShutdown('sandbox forge', () => forge.close());
  const config = readServeConfig({
    ...options.environment,
    BOUGH_HOME: options.home,
    BOUGH_PORT: String(options.ports?.server ?? (await freePort())),
    BOUGH_GATEWAY_PORT: String(options.ports?.gateway ?? (await freePort())),
    BOUGH_FORGE_WRITE_SPACING_MS: '0',
    GITHUB_API_URL: forge.apiUrl,
    GITHUB_TOKEN: token,
    GITHUB_WEBHOOK_SECRET: randomBytes(24).toString('hex'),
  });
  const bough = await serve(config, shutdown, log, options.onProgress);
  const api = await connectApi({
    home: options.home,
    url: bough.serverUrl,
    token: bough.home.adminToken.reveal(),
  });
  return { forge, bough, api };
}

/** The very one that Bough will find: a machine without git gets one under BOUGH_HOME before the forge needs it. */
async function resolveGit(
  options: Parameters<typeof startStage>[0],
  shutdown: Shutdown,
  log: BootLog,
): Promise<{ command: string; env: Record<string, string> }> {
  const toolchain = createToolchain({
    home: join(options.home, 'toolchains'),
    env: options.environment,
    log,
  });
  const { signal } = shutdown;
  const git = await toolchain.resolve('git', { signal, onProgress: options.onProgress });
  return { command: join(git.bin[0] ?? '', 'git'), env: toolchainEnvironment([git]) };
}

/** What a repository of this folder would hold: path → text or bytes. Nothing that was installed or built. */
export async function readFolder(folder: string): Promise<Record<string, string | Buffer>> {
  const files: Record<string, string | Buffer> = {};
  const visit = async (directory: string): Promise<void> => {
    for (const name of (await readdir(directory)).sort()) {
      if (LEFT_OUT.has(name)) continue;
      const path = join(directory, name);
      if ((await stat(path)).isDirectory()) await visit(path);
      else files[relative(folder, path)] = await readFile(path);
    }
  };
  await visit(folder);
  return files;
}

const LEFT_OUT: ReadonlySet<string> = new Set(['node_modules', 'dist', '.git']);
