import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { inspect } from 'node:util';
import { Secret } from '@bough/domain/secret';
import { isAlive, processIdentity } from '@bough/toolchain/process-identity';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { ForgeError } from '../src/forge-error.ts';
import { accessByToken } from '../src/git/git-access.ts';
import { fetchIntoMirror } from '../src/git/mirror.ts';
import { runGit } from '../src/git/run-git.ts';
import { git, type SandboxFixture, startSandboxFixture, TOKEN } from './sandbox-fixture.ts';

let fixture: SandboxFixture;
let home: string;
let mirror: string;
beforeEach(async () => {
  fixture = await startSandboxFixture('token');
  home = await mkdtemp(join(tmpdir(), 'bough-mirror-'));
  mirror = join(home, 'shop.git');
});
afterEach(async () => {
  await fixture.close();
  await rm(home, { recursive: true, force: true });
});

const url = () => `${fixture.sandbox.url}/acme/shop.git`;
const basic = Buffer.from(`x-access-token:${TOKEN}`).toString('base64');

function request(commit: string) {
  const access = async () => accessByToken(url(), new Secret(TOKEN));
  return { git, mirror, url: url(), commit, access, timeoutMs: 30_000 };
}

async function has(commit: string): Promise<boolean> {
  const args = [`--git-dir=${mirror}`, 'rev-list', '--objects', '--quiet', commit];
  return (await runGit({ git, args, timeoutMs: 10_000 })).code === 0;
}

/** A git that tells what it was started with and then is git. */
async function spyingGit(): Promise<{ command: string; seen: () => Promise<string> }> {
  const command = join(home, 'spy');
  const out = join(home, 'seen');
  const script = `#!/bin/sh\nprintf '%s\\n' "$*" >> ${out}\ncat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' ' >> ${out}\nexec ${git.command} "$@"\n`;
  await writeFile(command, script);
  await chmod(command, 0o755);
  return { command, seen: () => readFile(out, 'utf8') };
}

it('fetches with credentials that stand in no argument, file or error', async () => {
  const commit = await fixture.push('x', { 'x.txt': 'x\n' });
  const spy = await spyingGit();
  await fetchIntoMirror({ ...request(commit), git: { command: spy.command, env: git.env } });
  expect(await has(commit)).toBe(true);
  const seen = await spy.seen();
  expect(seen).toContain(`+${commit}:refs/bough/commits/${commit}`);
  for (const path of await readdir(mirror, { recursive: true })) {
    const text = await readFile(join(mirror, path), 'latin1').catch(() => '');
    expect(text.includes(TOKEN) || text.includes(basic), path).toBe(false);
    expect(text.includes(new URL(url()).host), `${path} holds the address`).toBe(false);
  }
  const wrong = new Secret('wrong-token-987654321');
  const refused = await fetchIntoMirror({
    ...request('f'.repeat(40)),
    access: async () => accessByToken(url(), wrong),
  }).catch((error: unknown) => error);
  expect(refused).toMatchObject({ code: 'forge-unauthorized' });
  const wrongBasic = Buffer.from(`x-access-token:${wrong.reveal()}`).toString('base64');
  for (const text of [seen, inspect(refused, { depth: 20 })]) {
    for (const secret of [TOKEN, basic, wrong.reveal(), wrongBasic]) expect(text).not.toContain(secret);
  }
});

it('needs neither network nor credentials for a commit that is there', async () => {
  const commit = await fixture.push('x', { 'x.txt': 'x\n' });
  await fetchIntoMirror(request(commit));
  await fixture.sandbox.close();
  const access = async () => {
    throw new Error('asked for credentials');
  };
  await fetchIntoMirror({ ...request(commit), access });
  const absent = fetchIntoMirror(request('e'.repeat(40)));
  await expect(absent).rejects.toMatchObject({ code: 'forge-unreachable', retryable: true });
});

it('fetches the head of a pull request from a fork, and nothing that is no commit id', async () => {
  await fixture.push('forked', { 'fork.txt': 'x\n' });
  const number = await fixture.openPullRequest('forked', 'stranger');
  const pull = await fixture.forge.readPullRequest(fixture.repository, number);
  if (pull === 'gone') throw new Error('gone');
  await fixture.deleteBranch('forked');
  await fetchIntoMirror(request(pull.head.commit));
  expect(await has(pull.head.commit)).toBe(true);
  const missing = fetchIntoMirror(request('d'.repeat(40)));
  await expect(missing).rejects.toMatchObject({ code: 'commit-gone' });
  await expect(fetchIntoMirror(request('main'))).rejects.toMatchObject({ code: 'commit-gone' });
  await expect(fetchIntoMirror(request('--upload-pack=x'))).rejects.toMatchObject({ code: 'commit-gone' });
});

it('lets many callers ask at once', async () => {
  const commits: string[] = [];
  for (const index of [1, 2, 3]) commits.push(await fixture.push(`b${index}`, { 'x.txt': `${index}\n` }));
  await Promise.all([...commits, ...commits].map((commit) => fetchIntoMirror(request(commit))));
  for (const commit of commits) expect(await has(commit)).toBe(true);
  expect((await readdir(home)).sort()).toEqual(['shop.git']);
});

/** A server that accepts git's request and never answers. */
async function startSilentServer(): Promise<{ url: string; asked: Promise<void>; close(): Promise<void> }> {
  let note = (): void => undefined;
  const asked = new Promise<void>((resolve) => {
    note = resolve;
  });
  const server: Server = createServer(() => note());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/acme/shop.git`,
    asked,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

it('stops at once when aborted, and at its timeout, and leaves nothing locked', async () => {
  const silent = await startSilentServer();
  try {
    const controller = new AbortController();
    const fetching = fetchIntoMirror({
      ...request('a'.repeat(40)),
      url: silent.url,
      signal: controller.signal,
    });
    await silent.asked;
    controller.abort(new Error('superseded'));
    await expect(fetching).rejects.toThrow('superseded');
    const slow = fetchIntoMirror({ ...request('a'.repeat(40)), url: silent.url, timeoutMs: 300 });
    await expect(slow).rejects.toMatchObject({ code: 'forge-unreachable', retryable: true });
    expect((await readdir(home)).filter((name) => name.includes('lock'))).toEqual([]);
  } finally {
    await silent.close();
  }
});

it('gives up a server from which nothing comes', async () => {
  const silent = await startSilentServer();
  // Git takes the time from here instead: a minute is too long for a test.
  const impatient = { ...git, env: { ...git.env, GIT_HTTP_LOW_SPEED_TIME: '1' } };
  try {
    const asked = { ...request('a'.repeat(40)), git: impatient, url: silent.url };
    // Its whole time is longer than this test has.
    const fetching = fetchIntoMirror({ ...asked, timeoutMs: 600_000 });
    await expect(fetching).rejects.toMatchObject({ code: 'forge-unreachable', retryable: true });
  } finally {
    await silent.close();
  }
});

async function startFetcher(from: string): Promise<ChildProcess> {
  const script = `
    import { fetchIntoMirror } from '${new URL('../src/git/mirror.ts', import.meta.url).href}';
    await fetchIntoMirror({ git: ${JSON.stringify(git)}, mirror: '${mirror}',
      url: '${from}', commit: '${'a'.repeat(40)}', timeoutMs: 60000 });`;
  return spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', script], {
    stdio: 'inherit',
    cwd: new URL('..', import.meta.url).pathname,
  });
}

it('goes on after the process that fetched was killed: its git is ended, its leftovers are removed', async () => {
  const silent = await startSilentServer();
  const commit = await fixture.push('x', { 'x.txt': 'x\n' });
  const killed = await startFetcher(silent.url);
  try {
    await silent.asked;
    const lock = await readFile(`${mirror}.lock`, 'utf8');
    const orphan = lock.split('\n')[1];
    if (orphan === undefined || orphan === '') throw new Error(`no child in the lock: ${lock}`);
    killed.kill('SIGKILL');
    await once(killed, 'exit');
    expect(await isAlive(orphan)).toBe(true);
    // What a git that was killed in the middle leaves.
    await mkdir(join(mirror, 'refs', 'bough', 'commits'), { recursive: true });
    await writeFile(join(mirror, 'refs', 'bough', 'commits', `${commit}.lock`), '');
    await writeFile(join(mirror, 'packed-refs.lock'), '');
    await writeFile(join(mirror, 'config.lock'), '');
    await mkdir(join(mirror, 'objects', 'pack'), { recursive: true });
    await writeFile(join(mirror, 'objects', 'pack', 'tmp_pack_Abc123'), 'half');
    await mkdir(`${mirror}.new-dead`, { recursive: true });
    await fetchIntoMirror(request(commit));
    expect(await has(commit)).toBe(true);
    expect(await isAlive(orphan)).toBe(false);
    expect(
      (await readdir(mirror, { recursive: true })).filter((name) => /\.lock$|tmp_pack/.test(name)),
    ).toEqual([]);
    expect((await readdir(home)).sort()).toEqual(['shop.git']);
  } finally {
    killed.kill('SIGKILL');
    await silent.close();
  }
});

it('makes a mirror anew that a power cut left half-made', async () => {
  await mkdir(join(mirror, 'objects'), { recursive: true });
  await writeFile(join(mirror, 'HEAD'), '');
  const commit = await fixture.push('x', { 'x.txt': 'x\n' });
  await fetchIntoMirror(request(commit));
  expect(await has(commit)).toBe(true);
});

it('waits for a living holder, but not for ever', async () => {
  const self = await processIdentity(process.pid);
  await writeFile(`${mirror}.lock`, `${self}\n`);
  const commit = await fixture.push('x', { 'x.txt': 'x\n' });
  const busy = fetchIntoMirror({ ...request(commit), timeoutMs: 200 });
  await expect(busy).rejects.toMatchObject({ code: 'forge-unreachable', retryable: true });
  const waiting = fetchIntoMirror(request(commit));
  await delay(100);
  await rm(`${mirror}.lock`);
  await waiting;
  expect((await stat(mirror)).isDirectory()).toBe(true);
});

it('ignores the configuration of the user and of the system', async () => {
  const commit = await fixture.push('x', { 'x.txt': 'x\n' });
  const hostile = join(home, 'gitconfig');
  await writeFile(hostile, '[url "http://127.0.0.1:9/"]\n\tinsteadOf = http\n');
  const before = { HOME: process.env.HOME, GIT_CONFIG_GLOBAL: process.env.GIT_CONFIG_GLOBAL };
  process.env.GIT_CONFIG_GLOBAL = hostile;
  process.env.GIT_DIR = '/nonexistent';
  try {
    await fetchIntoMirror(request(commit));
  } finally {
    delete process.env.GIT_DIR;
    if (before.GIT_CONFIG_GLOBAL === undefined) delete process.env.GIT_CONFIG_GLOBAL;
    else process.env.GIT_CONFIG_GLOBAL = before.GIT_CONFIG_GLOBAL;
  }
  expect(await has(commit)).toBe(true);
});

it('does not carry credentials along a redirect', async () => {
  const seen: (string | undefined)[] = [];
  const elsewhere = createServer((asked, response) => {
    seen.push(asked.headers.authorization);
    response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => elsewhere.listen(0, '127.0.0.1', resolve));
  const target = `http://127.0.0.1:${(elsewhere.address() as AddressInfo).port}`;
  const redirecting = createServer((asked, response) => {
    response.writeHead(301, { location: `${target}${asked.url}` }).end();
  });
  await new Promise<void>((resolve) => redirecting.listen(0, '127.0.0.1', resolve));
  const from = `http://127.0.0.1:${(redirecting.address() as AddressInfo).port}/acme/shop.git`;
  const access = async () => accessByToken(from, new Secret(TOKEN));
  const error = await fetchIntoMirror({ ...request('a'.repeat(40)), url: from, access }).catch(
    (e: unknown) => e,
  );
  expect(error).toBeInstanceOf(ForgeError);
  expect(seen).toEqual([]);
  for (const server of [elsewhere, redirecting]) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

it('names the git that cannot be started', async () => {
  const missing = { command: join(home, 'no-git'), env: {} };
  const error = await fetchIntoMirror({ ...request('a'.repeat(40)), git: missing }).catch((e: unknown) => e);
  expect(error).toMatchObject({ code: 'forge-rejected', hint: expect.stringContaining('bough doctor') });
});
