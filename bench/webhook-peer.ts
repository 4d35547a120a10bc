import { execFile, fork } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { freePort } from '@bough/boot/free-port';
import type { Surroundings } from './benchmark.ts';
import type { Target } from './webhook-target.ts';

/** The peer is no dependency of Bough: it is fetched for the measurement and removed after it. */
const PROBOT = 'probot@14.3.2';
const INSTALL_MS = 180_000;
const START_MS = 30_000;

/** A Probot app that only answers; where Probot cannot be had, the middleware of @octokit/webhooks that is beneath it. */
export async function startPeerTarget(
  options: { directory: string; secret: string },
  surroundings: Surroundings,
): Promise<Target> {
  const { onProgress, shutdown } = surroundings;
  onProgress(`installing ${PROBOT} into a directory of its own`);
  try {
    return await startProbot(options, surroundings);
  } catch (error) {
    shutdown.signal.throwIfAborted();
    const reason = error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error);
    onProgress(
      `Probot cannot be had here (${reason}); measuring the middleware of @octokit/webhooks instead`,
    );
    return await startMiddleware(options, surroundings);
  }
}

async function startProbot(
  { directory, secret }: { directory: string; secret: string },
  surroundings: Surroundings,
): Promise<Target> {
  const place = join(directory, 'probot');
  await mkdir(place);
  await writeFile(join(place, 'package.json'), '{ "private": true, "type": "module" }\n');
  const install = ['install', PROBOT, '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  await promisify(execFile)('npm', install, {
    cwd: place,
    timeout: INSTALL_MS,
    signal: surroundings.shutdown.signal,
  });
  const app = join(place, 'app.mjs');
  await copyFile(fileURLToPath(new URL('webhook-probot.mjs', import.meta.url)), app);
  return await startServer({ name: PROBOT, file: app, cwd: place, secret, execArgv: [] }, surroundings);
}

async function startMiddleware(
  { directory, secret }: { directory: string; secret: string },
  surroundings: Surroundings,
): Promise<Target> {
  const file = fileURLToPath(new URL('webhook-middleware.ts', import.meta.url));
  const execArgv = ['--import', import.meta.resolve('tsx')];
  const name = '@octokit/webhooks middleware';
  return await startServer({ name, file, cwd: directory, secret, execArgv }, surroundings);
}

async function startServer(
  server: { name: string; file: string; cwd: string; secret: string; execArgv: string[] },
  { shutdown, environment }: Surroundings,
): Promise<Target> {
  const port = await freePort();
  const child = fork(server.file, {
    cwd: server.cwd,
    execArgv: server.execArgv,
    env: { ...environment, NODE_ENV: 'production' },
  });
  child.send({ port, secret: server.secret });
  shutdown.onShutdown(server.name, async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  });
  const exited = once(child, 'exit').then(([code]) => {
    throw new Error(`${server.name} ended at its start with ${code}`);
  });
  await Promise.race([once(child, 'message', { signal: AbortSignal.timeout(START_MS) }), exited]);
  exited.catch(() => {});
  return {
    name: server.name,
    url: `http://127.0.0.1:${port}/webhooks/github`,
    pid: () => child.pid,
    storePids: async () => [],
  };
}
