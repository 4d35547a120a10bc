import { spawn } from 'node:child_process';
import { chmod, chown, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

export const quiet = { info: () => {}, warn: () => {} };

/** What the script below prints when both servers are up. */
export interface Started {
  readonly pid: number;
  readonly postgres: { readonly url: string; readonly port: number; readonly wasAdopted: boolean };
  readonly redis: { readonly url: string; readonly port: number; readonly wasAdopted: boolean };
}

/** Starts both servers in a home, reports them in one line, and stops them in order on SIGTERM. */
const script = (base: string) => `
  import { startEmbeddedPostgres } from '${base}/embedded-postgres.ts';
  import { startEmbeddedRedis } from '${base}/embedded-redis.ts';
  import { createShutdown } from '${base}/signals.ts';
  import { createToolchain } from '@bough/toolchain/toolchain';
  import { embeddedPackageDirectories } from '${base}/embedded-toolchain.ts';
  const [home, tools] = process.argv.slice(-2);
  const log = { info() {}, warn() {} };
  const toolchain = createToolchain({ home: tools, env: process.env, log, packageDirectories: embeddedPackageDirectories() });
  const shutdown = createShutdown({ log });
  shutdown.listen();
  const postgres = await startEmbeddedPostgres({ home: home + '/postgres', toolchain, log });
  shutdown.onShutdown('postgres', () => postgres.stop());
  const redis = await startEmbeddedRedis({ home: home + '/redis', toolchain, log });
  shutdown.onShutdown('redis', () => redis.stop());
  console.log(JSON.stringify({ pid: process.pid, postgres, redis }));
  setInterval(() => {}, 1000);
`;

/** Beside this file, because that is where its imports are resolved from. The test removes it. */
export const scriptFile = new URL(`./.boot-${process.pid}.mts`, import.meta.url).pathname;

export interface Boot {
  readonly started: Started;
  /** Signals the process and returns its exit code, or null when it was killed. */
  end(signal: NodeJS.Signals): Promise<number | null>;
}

export interface Who {
  readonly uid?: number;
  readonly gid?: number;
}

/** A separate process that owns the servers, as `bough serve` does, so that it can be killed. */
export async function boot(home: string, toolchainHome: string, who: Who = {}): Promise<Boot> {
  await writeFile(scriptFile, script('../src'), { mode: 0o644 });
  const args = ['--import', import.meta.resolve('tsx'), scriptFile, home, toolchainHome];
  const child = spawn(process.execPath, args, {
    ...who,
    stdio: ['ignore', 'pipe', 'inherit'],
    env: environment(who, home),
  });
  const exited = new Promise<number | null>((resolve, reject) => {
    child.once('exit', resolve);
    child.once('error', reject);
  });
  const lines = createInterface({ input: child.stdout });
  const first = await Promise.race([
    new Promise<string>((resolve) => lines.once('line', resolve)),
    exited.then((code) => Promise.reject(new Error(`ended with ${code} before it was up`))),
  ]);
  return {
    started: JSON.parse(first) as Started,
    async end(signal) {
      child.kill(signal);
      return exited;
    },
  };
}

function environment(who: Who, home: string): NodeJS.ProcessEnv {
  return who.uid === undefined ? process.env : { PATH: process.env.PATH, HOME: home };
}

/** Only root can become somebody else, and Node must lie where that somebody can run it. */
export async function canBecome({ uid = 65_534, gid = 65_534 }: Who): Promise<boolean> {
  // For anybody else spawn throws, rather than emit an error.
  if (process.getuid?.() !== 0) return false;
  const child = spawn(process.execPath, ['--version'], { uid, gid, stdio: 'ignore' });
  return new Promise((resolve) => {
    child.once('error', () => resolve(false));
    child.once('exit', (code) => resolve(code === 0));
  });
}

/** A home directory that belongs to another user, reachable by it. */
export async function giveHome(parent: string, { uid = 65_534, gid = 65_534 }: Who): Promise<string> {
  const home = join(parent, `home-of-${uid}`);
  await mkdir(home, { mode: 0o700 });
  await chown(home, uid, gid);
  await chmod(parent, 0o711);
  return home;
}
