import { mkdir, rm } from 'node:fs/promises';
import { createServer, request, type Server } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { createTempHome } from '@bough/testkit/temp-home';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Egress, type EgressOptions, openEgress } from '../src/process/door/egress.ts';

let home: Awaited<ReturnType<typeof createTempHome>>;
let upstream: Server;
let port: number;
let opened: Egress | undefined;
let directory = '';

beforeAll(async () => {
  home = await createTempHome('egress');
  upstream = createServer((incoming, outgoing) => outgoing.end(`${incoming.headers.host} ${incoming.url}`));
  await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve));
  const address = upstream.address();
  port = typeof address === 'object' && address !== null ? address.port : 0;
});

afterAll(async () => {
  await opened?.close();
  upstream.close();
  await home.remove();
});

async function way(options: Omit<EgressOptions, 'directory'>): Promise<string> {
  await opened?.close();
  // Longer than the name of a socket can be.
  directory = join(home.path, 'a'.repeat(100), 'b'.repeat(100));
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true });
  opened = await openEgress({ directory, isAllowedPort: () => true, ...options });
  process.chdir(directory);
  return 'egress.sock';
}

function get(socketPath: string, url: string): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, path: url, headers: { host: new URL(url).host } }, async (answer) => {
      let body = '';
      for await (const chunk of answer) body += String(chunk);
      resolve({ status: answer.statusCode ?? 0, body });
    });
    asked.once('error', reject).end();
  });
}

function tunnel(socketPath: string, to: string, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path: socketPath });
    let text = '';
    socket.on('data', (chunk) => {
      const isFirst = text === '';
      text += String(chunk);
      if (isFirst && text.startsWith('HTTP/1.1 200'))
        socket.write(`GET ${path} HTTP/1.1\r\nhost: inner\r\nconnection: close\r\n\r\n`);
    });
    socket.once('close', () => resolve(text));
    socket.once('error', reject);
    socket.write(`CONNECT ${to} HTTP/1.1\r\nhost: ${to}\r\n\r\n`);
  });
}

const local = { resolve: async () => [{ address: '127.0.0.1', family: 4 }] };
const before = process.cwd();
afterAll(() => process.chdir(before));

test('what is allowed is forwarded and tunnelled, to the address that was looked up', async () => {
  const socket = await way({ ...local, isAllowed: () => true });
  expect(await get(socket, `http://registry.example:${port}/left-pad?x=1`)).toEqual({
    status: 200,
    body: `registry.example:${port} /left-pad?x=1`,
  });
  expect(await tunnel(socket, `registry.example:${port}`, '/inner')).toMatch(/inner \/inner$/);
});

test('nothing but public addresses and the ports of the web', async () => {
  const socket = await way(local);
  expect(await get(socket, `http://rebinding.example:${port}/`)).toMatchObject({ status: 403 });
  expect(await tunnel(socket, `rebinding.example:${port}`, '/')).toMatch(
    /^HTTP\/1\.1 403 .*not on the public internet/s,
  );
  for (const host of [
    '127.0.0.1',
    '[::1]',
    '[::ffff:10.0.0.1]',
    '169.254.169.254',
    '0177.0.0.1',
    '2130706433',
  ])
    expect(await get(socket, `http://${host}:${port}/`), host).toMatchObject({ status: 403 });
  const mixed = await way({
    resolve: async () => [
      { address: '93.184.216.34', family: 4 },
      { address: '10.0.0.1', family: 4 },
    ],
  });
  expect(await get(mixed, 'http://half.example/')).toMatchObject({ status: 403 });
  const ports = await openPorts();
  expect(await get(ports, `http://registry.example:${port}/`)).toMatchObject({
    status: 403,
    body: expect.stringContaining('80 and 443 are'),
  });
});

const openPorts = () =>
  way({ ...local, isAllowed: () => true, isAllowedPort: (wanted) => wanted === 80 || wanted === 443 });
