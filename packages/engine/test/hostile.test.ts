import { execFile } from 'node:child_process';
import { copyFile, mkdir, readdir, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { BoughError } from '@bough/domain/bough-error';
import { assertNothingLeft } from '@bough/testkit/leaks';
import { waitFor } from '@bough/testkit/wait-for';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { logOf } from '../src/contract.ts';
import type { Seclusion } from '../src/engine.ts';
import { isPublicAddress } from '../src/process/door/public-address.ts';
import { createProcessWorld, type ProcessWorld } from './process-world.ts';

/**
 * A hostile build and a hostile workload, on the real thing: what each tries is blocked, and the same attempts succeed
 * where nothing guards (`unguarded`), so that no assertion here passes because of an attack that could not work anyway.
 */

const SECRET = 'planted-secret-7c1f9e';
const attack = fileURLToPath(new URL('./hostile/attack.mjs', import.meta.url));
const MIB = 1024 * 1024;
const secluded: Seclusion = { peers: [], network: 'none', diskBytes: 512 * MIB };
const TEST_MS = 120_000;

let world: ProcessWorld;
let canSeclude = false;
let source: string;
const servers: Server[] = [];
const planted = { BOUGH_MASTER_KEY: SECRET, GITHUB_TOKEN: SECRET };
let targets: Record<string, unknown> = {};
let reachable: readonly string[] = [];

/** Says something to whoever connects: it plays the metadata service, the control plane, another environment. */
async function listenAs(host: string): Promise<number> {
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy()).resume();
    socket.end(`HTTP/1.0 200 OK\r\n\r\n${SECRET}`);
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

function privateAddress(): string {
  const all = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  const found = all.find(
    ({ family, internal, address }) => family === 'IPv4' && !internal && !isPublicAddress(address),
  );
  return found?.address ?? '127.0.0.1';
}

beforeAll(async () => {
  for (const [name, value] of Object.entries(planted)) process.env[name] = value;
  world = await createProcessWorld({
    // Every name leads to this machine's private address: what is refused is the address, whatever the name.
    egress: { resolve: async () => [{ address: privateAddress(), family: 4 }], isAllowedPort: () => true },
    buildEnvironment: {
      env: { HTTPS_PROXY: `http://${SECRET}` },
      caFiles: [],
      npmrc: `//r/:_authToken=${SECRET}\n`,
    },
  });
  const seclusion = await world.engine.probeSeclusion();
  canSeclude = seclusion.ok;
  if (!seclusion.ok) console.warn(`SKIPPED: no sandbox with a network of its own here: ${seclusion.reason}`);
  source = await world.directory();
  await copyFile(attack, join(source, 'attack.mjs'));
  const other = await world.directory();
  const file = async (path: string) => {
    await mkdir(join(path, '..'), { recursive: true });
    await writeFile(path, SECRET);
    return path;
  };
  const metadata = { host: privateAddress(), port: await listenAs(privateAddress()) };
  const controlPlane = { host: '127.0.0.1', port: await listenAs('127.0.0.1') };
  const everywhere = await listenAs('0.0.0.0');
  const path = join(world.home, 's');
  const unix = createServer((socket) => socket.resume().end('x'));
  servers.push(unix);
  await new Promise<void>((resolve) => unix.listen(path, resolve));
  const abstract = createServer((socket) => socket.resume().end('x'));
  servers.push(abstract);
  await new Promise<void>((resolve) => abstract.listen(`\0${world.installationId}`, resolve));
  targets = {
    secret: SECRET,
    files: {
      masterKey: await file(join(world.home, 'keys/master')),
      gitCredentials: await file(join(world.home, 'git/credentials')),
      hostFile: await file(join(other, 'private.txt')),
      otherEnvironment: await file(join(world.home, 'volumes/other/data')),
      otherArtifact: await file(join(world.home, 'artifacts/other/app/index.js')),
    },
    addresses: {
      metadata,
      controlPlane,
      otherPort: { host: privateAddress(), port: everywhere },
      otherPortByLoopback: { host: '127.0.0.1', port: everywhere },
    },
    sockets: { unixSocket: path, abstractSocket: `\0${world.installationId}` },
  };
  reachable = [
    ...['environment', 'masterKey', 'gitCredentials', 'hostFile', 'otherEnvironment', 'otherArtifact'],
    ...['metadata', 'controlPlane', 'otherPort', 'otherPortByLoopback', 'unixSocket', 'abstractSocket'],
  ];
}, TEST_MS);

afterAll(async () => {
  for (const name of Object.keys(planted)) delete process.env[name];
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  for (const { id } of (await world?.engine.list()) ?? []) await world.engine.remove(id);
  if (world) await assertNothingLeft({ marker: world.installationId, path: world.home });
  await world?.dispose();
}, TEST_MS);

function gotIn(lines: readonly string[]): Record<string, unknown> {
  const line = lines.find((candidate) => candidate.startsWith('GOT ')) ?? 'GOT {}';
  return JSON.parse(line.slice('GOT '.length)) as Record<string, unknown>;
}

/** Every attempt, each an assertion of its own. */
function expectBlocked(got: Record<string, unknown>): void {
  expect(got).toHaveProperty('environment', false);
  expect(got).toHaveProperty('processes', false);
  for (const name of reachable) expect(got, name).toHaveProperty(name, false);
}

const argument = (more: Record<string, unknown> = {}) => `'${JSON.stringify({ ...targets, ...more })}'`;

test('unguarded, every attempt succeeds', { timeout: TEST_MS }, async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [
    attack,
    JSON.stringify({ ...targets, children: 300 }),
  ]);
  const got = gotIn(stdout.split('\n'));
  for (const name of reachable) expect(got, name).toHaveProperty(name, true);
  expect(got.children).toBe(300);
});

test('a trusted sandbox sees the machine’s network, so that the attempts on it are not idle', {
  timeout: TEST_MS,
}, async (t) => {
  t.skip(!canSeclude, 'no sandbox with a network of its own on this machine');
  const lines: string[] = [];
  await world.engine.build(
    world.building({
      source,
      toolchains: [world.toolchain],
      hook: `node attack.mjs ${argument()}`,
      onOutput: (line) => lines.push(line),
    }),
  );
  expect(gotIn(lines)).toMatchObject({
    metadata: true,
    controlPlane: true,
    otherPort: true,
    hostFile: false,
  });
});

describe('secluded', () => {
  test('a build gets no secret, no file, no address, and few processes', { timeout: TEST_MS }, async (t) => {
    t.skip(!canSeclude, 'no sandbox with a network of its own on this machine');
    const lines: string[] = [];
    await world.engine.build(
      world.building({
        ...{ source, toolchains: [world.toolchain], seclusion: { ...secluded, network: 'public' } },
        limits: { memoryBytes: 256 * MIB, pids: 60, cpus: 1 },
        hook: `cat "$NPM_CONFIG_USERCONFIG" || true; node attack.mjs ${argument({
          children: 300,
          proxied: {
            metadataByProxy: `http://${privateAddress()}/latest/meta-data`,
            rebound: 'http://rebinding.example/',
            loopbackByProxy: 'http://127.0.0.1/',
            mappedByProxy: 'http://[::ffff:127.0.0.1]/',
          },
        })}`,
        onOutput: (line) => lines.push(line),
      }),
    );
    const got = gotIn(lines);
    expectBlocked(got);
    expect(lines.join('\n')).not.toContain(SECRET);
    const refused = expect.stringMatching(/^403 .* is not on the public internet/);
    expect(got).toMatchObject({
      metadataByProxy: refused,
      rebound: refused,
      loopbackByProxy: refused,
      mappedByProxy: refused,
    });
    expect(got.children).toBeGreaterThan(0);
    expect(got.children).toBeLessThan(120);
  });

  test('a build that fills the disk is ended, and nothing of it is left', { timeout: TEST_MS }, async (t) => {
    t.skip(!canSeclude, 'no sandbox with a network of its own on this machine');
    const filling = world.building({
      ...{ source, seclusion: { ...secluded, diskBytes: 32 * MIB } },
      hook: 'i=0; while :; do i=$((i + 1)); dd if=/dev/zero of=/app/fill.$i bs=1M count=4 status=none; sleep 0.02; done',
    });
    const failure = await world.engine.build(filling).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(BoughError);
    expect(failure).toMatchObject({ code: 'build-disk-full' });
    const large = world.building({
      ...{ source, seclusion: { ...secluded, diskBytes: 32 * MIB } },
      hook: 'dd if=/dev/zero of=/app/large bs=1M count=256',
    });
    await expect(world.engine.build(large)).rejects.toMatchObject({ code: expect.stringMatching(/^build-/) });
    expect(await readdir(join(world.home, 'builds'))).toEqual([]);
  });

  test('a workload gets nothing either, and its port still leads to it', { timeout: TEST_MS }, async (t) => {
    t.skip(!canSeclude, 'no sandbox with a network of its own on this machine');
    const built = await world.engine.build(world.building({ source }));
    const peer = await world.engine.ensure(
      world.workload({
        ...{ toolchains: [world.toolchain], listens: true, seclusion: secluded },
        command: `node -e 'require("net").createServer((s) => s.end("I am the peer")).listen(process.env.PORT, "127.0.0.1")'`,
      }),
    );
    const peerPort = peer.address?.port ?? 0;
    const spec = world.workload({
      ...{ toolchains: [world.toolchain], artifact: built.key, listens: true },
      seclusion: { ...secluded, peers: [peerPort] },
      env: { NODE_OPTIONS: '--no-warnings' },
      command: `until node attack.mjs ${argument({ addresses: { ...(targets.addresses as object), peer: { host: '127.0.0.1', port: peerPort } } })} | tee /tmp/got && grep -q '"peer":true' /tmp/got; do :; done
        exec node -e 'require("http").createServer((q, s) => s.end(process.env.NODE_OPTIONS + "x".repeat(200000))).listen(process.env.PORT, "127.0.0.1")'`,
    });
    const workload = await world.engine.ensure(spec);
    const url = `http://127.0.0.1:${workload.address?.port}/`;
    const answer = await waitFor(
      'an answer',
      async () => (await fetch(url).catch(() => undefined)) ?? false,
      {
        timeoutMs: 60_000,
      },
    );
    expect(await answer.text()).toBe(`--no-warnings${'x'.repeat(200_000)}`);
    const got = gotIn((await logOf(world.engine, spec.id)).filter((line) => line.includes('"peer":true')));
    expectBlocked(got);
    expect(got).toHaveProperty('peer', true);
    // Started again after a crash, it is to be found where it was.
    await world.engine.stop(spec.id);
    await expect(fetch(url)).rejects.toThrow();
    await world.engine.ensure(spec);
    await waitFor(
      'an answer after the restart',
      async () => (await fetch(url).catch(() => undefined))?.ok ?? false,
      {
        timeoutMs: 60_000,
      },
    );
  });

  test('a workload whose volume grows beyond its budget is ended and says so', {
    timeout: TEST_MS,
  }, async (t) => {
    t.skip(!canSeclude, 'no sandbox with a network of its own on this machine');
    const volume = await world.directory();
    const spec = world.workload({
      mounts: [{ source: volume, at: '/data' }],
      seclusion: { ...secluded, diskBytes: 8 * MIB },
      command:
        'i=0; while :; do i=$((i + 1)); dd if=/dev/zero of=/data/f$((i % 4)) bs=1M count=4 status=none; sleep 0.05; done',
    });
    await world.engine.ensure(spec);
    await waitFor(
      'its end',
      async () =>
        (await logOf(world.engine, spec.id)).some((line) => line.includes('it wrote more than 8 MB')),
      {
        timeoutMs: 60_000,
      },
    );
    await world.engine.remove(spec.id);
  });
});
