import { createHash } from 'node:crypto';
import http from 'node:http';
import net from 'node:net';
import type { Duplex } from 'node:stream';
import { waitFor } from '@bough/testkit/wait-for';
import { afterEach, expect, test } from 'vitest';
import { ask, type Bench, openBench, route } from './bench.ts';

let bench: Bench;
afterEach(() => bench.close());

const key = Buffer.from('sixteen byte key').toString('base64');
const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');

test('carries frames both ways, from the first byte, and closes both sides together', async () => {
  bench = await openBench();
  const app = await echoApp();
  bench.set(route(app.port));
  const { socket, headers, rest } = await connect(bench.port, maskedText('hello'));
  expect(headers['sec-websocket-accept']).toBe(accept);
  expect(headers['x-bough-deployment']).toBe('70');
  expect(app.seen[0]).toMatchObject({
    'x-forwarded-for': '127.0.0.1',
    'x-forwarded-host': 'pr-7--shop.localhost',
  });
  const received = collect(socket, rest);
  await waitFor(
    'the greeting and the echo',
    () => received().includes('welcome') && received().includes('hello'),
  );
  socket.write(maskedText('x'.repeat(100)));
  await waitFor('the second echo', () => received().includes('x'.repeat(100)));
  socket.destroy();
  await waitFor('the app’s side to be closed', () => app.open() === 0);
  expect(bench.outcomes).toContain('upgraded');
});

test('the app’s end of the connection ends the visitor’s', async () => {
  bench = await openBench();
  const app = await echoApp();
  bench.set(route(app.port));
  const { socket } = await connect(bench.port);
  const closed = new Promise((resolve) => socket.once('close', resolve));
  app.closeAll();
  await closed;
});

test('is held while the release is swapped', async () => {
  bench = await openBench();
  const app = await echoApp();
  bench.set(route(null, { state: 'swapping' }));
  const connecting = connect(bench.port);
  await waitFor('the upgrade to be held', () => bench.held() === 1);
  bench.set(route(app.port));
  const { socket, rest } = await connecting;
  const received = collect(socket, rest);
  socket.write(maskedText('after the swap'));
  await waitFor('the echo', () => received().includes('after the swap'));
  socket.destroy();
});

test('an upgrade that cannot be served gets the same honest pages', async () => {
  bench = await openBench({ limits: { refusedRetryMs: 10 } });
  const app = await bench.app((_request, response) => response.writeHead(403).end('not for you'));
  bench.set(route(app.port), route(null, { host: 'asleep.localhost', state: 'asleep' }));
  const refusal = async (host: string) => {
    const request = upgradeRequest(bench.port, { host });
    const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
      request.once('response', resolve);
      request.once('error', reject);
    });
    response.resume();
    return [response.statusCode, response.headers['x-bough-cause']];
  };
  expect(await refusal('pr-7--shop.localhost')).toEqual([403, undefined]);
  expect(await refusal('asleep.localhost')).toEqual([503, 'asleep']);
  expect(await refusal('nobody.localhost')).toEqual([404, 'unknown-host']);
});

test('an offer of another protocol is ignored and the request answered', async () => {
  bench = await openBench();
  const app = await bench.app((request, response) => response.end(`plain ${request.headers.upgrade}`));
  bench.set(route(app.port));
  const answer = await ask(bench, '/', {
    headers: { connection: 'Upgrade, HTTP2-Settings', upgrade: 'h2c', 'http2-settings': '' },
  });
  expect([answer.status, answer.body]).toEqual([200, 'plain undefined']);
});

/** Answers the handshake by hand, says welcome in the same packet, and sends text frames back unmasked. */
async function echoApp() {
  const sockets = new Set<Duplex>();
  const seen: http.IncomingMessage['headers'][] = [];
  const app = await bench.app((_request, response) => response.writeHead(400).end());
  app.server.on('upgrade', (request: http.IncomingMessage, socket: Duplex, head: Buffer) => {
    sockets.add(socket);
    seen.push(request.headers);
    socket.on('error', () => {});
    socket.on('end', () => socket.end());
    socket.on('close', () => sockets.delete(socket));
    socket.write(
      Buffer.concat([
        Buffer.from(
          `HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: ${accept}\r\n\r\n`,
        ),
        textFrame('welcome'),
      ]),
    );
    let pending: Buffer = head;
    const onData = (chunk: Buffer) => {
      pending = Buffer.concat([pending, chunk]);
      for (let text = takeMasked(pending); text !== null; text = takeMasked(pending)) {
        pending = pending.subarray(6 + text.length);
        socket.write(textFrame(text));
      }
    };
    socket.on('data', onData);
    onData(Buffer.alloc(0));
  });
  return {
    port: app.port,
    seen,
    open: () => sockets.size,
    closeAll: () => {
      for (const socket of sockets) socket.destroy();
    },
  };
}

function textFrame(text: string): Buffer {
  return Buffer.concat([Buffer.from([0x81, text.length]), Buffer.from(text)]);
}

function maskedText(text: string): Buffer {
  const mask = Buffer.from([1, 2, 3, 4]);
  const masked = Buffer.from(text).map((byte, index) => byte ^ (mask[index % 4] ?? 0));
  return Buffer.concat([Buffer.from([0x81, 0x80 | text.length]), mask, masked]);
}

function takeMasked(bytes: Buffer): string | null {
  const length = (bytes[1] ?? 0) & 0x7f;
  if (bytes.length < 6 + length || bytes.length < 6) return null;
  const mask = bytes.subarray(2, 6);
  return Buffer.from(
    bytes.subarray(6, 6 + length).map((byte, index) => byte ^ (mask[index % 4] ?? 0)),
  ).toString();
}

function upgradeRequest(port: number, headers: { host: string }): http.ClientRequest {
  const request = http.request({
    host: '127.0.0.1',
    port,
    agent: false,
    headers: {
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-key': key,
      'sec-websocket-version': '13',
      ...headers,
    },
  });
  request.end();
  return request;
}

/** The handshake over a plain socket, so that a first frame can travel in the packet of the headers. */
function connect(port: number, firstFrame: Buffer = Buffer.alloc(0)) {
  return new Promise<{ socket: net.Socket; headers: Record<string, string>; rest: Buffer }>(
    (resolve, reject) => {
      const socket = net.connect(port, '127.0.0.1', () => {
        const head = `GET /live HTTP/1.1\r\nhost: pr-7--shop.localhost\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-key: ${key}\r\nsec-websocket-version: 13\r\n\r\n`;
        socket.write(Buffer.concat([Buffer.from(head), firstFrame]));
      });
      let bytes: Buffer = Buffer.alloc(0);
      const onData = (chunk: Buffer) => {
        bytes = Buffer.concat([bytes, chunk]);
        const end = bytes.indexOf('\r\n\r\n');
        if (end === -1) return;
        socket.removeListener('data', onData);
        socket.pause();
        const [status = '', ...lines] = bytes.subarray(0, end).toString().split('\r\n');
        if (!status.startsWith('HTTP/1.1 101 ')) return reject(new Error(status));
        const headers = Object.fromEntries(lines.map((line) => line.split(/: (.*)/s, 2) as [string, string]));
        resolve({ socket, headers, rest: bytes.subarray(end + 4) });
      };
      socket.on('data', onData);
      socket.on('error', reject);
    },
  );
}

function collect(socket: net.Socket, rest: Buffer): () => string {
  let text = rest.toString('latin1');
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
  });
  socket.resume();
  return () => text;
}
