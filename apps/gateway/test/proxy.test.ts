import http from 'node:http';
import net from 'node:net';
import { waitFor } from '@bough/testkit/wait-for';
import { afterEach, expect, test } from 'vitest';
import { ask, type Bench, openBench, readAll, route } from './bench.ts';

let bench: Bench;
afterEach(() => bench.close());

test('sends each host and the longest path prefix to its own app', async () => {
  bench = await openBench();
  const web = await bench.app((request, response) => response.end(`web ${request.url}`));
  const api = await bench.app((request, response) => response.end(`api ${request.url}`));
  const other = await bench.app((_request, response) => response.end('other'));
  bench.set(
    route(web.port),
    route(api.port, { path: '/api/' }),
    route(other.port, { host: 'pr-8--shop.localhost' }),
  );
  expect((await ask(bench, '/?a=1')).body).toBe('web /?a=1');
  expect((await ask(bench, '/api/orders')).body).toBe('api /api/orders');
  expect((await ask(bench, '/api?q')).body).toBe('api /api?q');
  expect((await ask(bench, '/apis')).body).toBe('web /apis');
  expect((await ask(bench, '/', { headers: { host: 'PR-8--Shop.LocalHost:8080' } })).body).toBe('other');
  const absolute = await ask(bench, 'http://pr-8--shop.localhost/x', {
    headers: { host: 'pr-8--shop.localhost' },
  });
  expect(absolute.body).toBe('other');
});

test('says which deployment answered, keeps robots out, and lets no app speak in its name', async () => {
  bench = await openBench();
  const app = await bench.app((_request, response) => {
    response.setHeader('x-bough-deployment', 'forged');
    response.setHeader('x-bough-cause', 'starting');
    response.setHeader('x-robots-tag', 'all');
    response.setHeader('set-cookie', ['a=1', 'b=2']);
    response.writeHead(418, 'Short and stout');
    response.end('tea');
  });
  bench.set(route(app.port), route(app.port, { host: 'shop.example.com', indexable: true }));
  const preview = await ask(bench, '/');
  expect(preview.status).toBe(418);
  expect(preview.headers).toMatchObject({
    'x-bough-deployment': '70',
    'x-bough-environment': 'pr-7--shop',
    'x-robots-tag': 'noindex, nofollow',
    'set-cookie': ['a=1', 'b=2'],
  });
  expect(preview.headers['x-bough-cause']).toBeUndefined();
  const production = await ask(bench, '/', { headers: { host: 'shop.example.com' } });
  expect(production.headers['x-robots-tag']).toBe('all');
});

test('tells the app who asked; a visitor cannot forge it', async () => {
  bench = await openBench({ trustedProxies: ['10.0.0.0/8'] });
  const app = await bench.app((request, response) => response.end(JSON.stringify(request.headers)));
  bench.set(route(app.port));
  const seen = JSON.parse(
    (
      await ask(bench, '/', {
        headers: {
          host: 'pr-7--shop.localhost:8080',
          'x-forwarded-for': '1.2.3.4',
          'x-forwarded-proto': 'https',
          'x-forwarded-host': 'evil.example',
          x_forwarded_for: '1.2.3.4',
          forwarded: 'for=1.2.3.4',
          'x-real-ip': '1.2.3.4',
          'x-bough-probe': 'guess',
          connection: 'x-private, content-length',
          'x-private': 'hop',
          'x-own': 'kept',
        },
      })
    ).body,
  );
  expect(seen).toMatchObject({
    host: 'pr-7--shop.localhost:8080',
    'x-forwarded-for': '127.0.0.1',
    'x-forwarded-proto': 'http',
    'x-forwarded-host': 'pr-7--shop.localhost:8080',
    'x-real-ip': '127.0.0.1',
    'x-own': 'kept',
  });
  for (const name of ['forwarded', 'x_forwarded_for', 'x-bough-probe', 'x-private'])
    expect(seen).not.toHaveProperty(name);
});

test('keeps what a trusted proxy says about the visitor', async () => {
  bench = await openBench({ trustedProxies: ['loopback'], previewUrl: 'https://*.preview.example.com' });
  const app = await bench.app((request, response) => response.end(JSON.stringify(request.headers)));
  bench.set(route(app.port));
  const said = await ask(bench, '/', {
    headers: {
      'x-forwarded-for': '203.0.113.9',
      'x-forwarded-proto': 'http',
      'x-forwarded-host': 'front.example',
    },
  });
  expect(JSON.parse(said.body)).toMatchObject({
    'x-forwarded-for': '203.0.113.9, 127.0.0.1',
    'x-forwarded-proto': 'http',
    'x-forwarded-host': 'front.example',
    'x-real-ip': '203.0.113.9',
  });
  expect(JSON.parse((await ask(bench, '/')).body)).toMatchObject({ 'x-forwarded-proto': 'https' });
});

test('passes bodies on as they were framed', async () => {
  bench = await openBench();
  const app = await bench.app(async (request, response) => {
    const body = await readAll(request);
    const { 'content-length': length, 'transfer-encoding': encoding } = request.headers;
    response.end(JSON.stringify({ method: request.method, body: body.toString(), length, encoding }));
  });
  bench.set(route(app.port));
  const sized = await ask(bench, '/', { method: 'POST', send: 'hello', headers: { 'content-length': 5 } });
  expect(JSON.parse(sized.body)).toEqual({ method: 'POST', body: 'hello', length: '5' });
  const chunked = await ask(bench, '/', {
    method: 'DELETE',
    send: 'hello',
    headers: { 'transfer-encoding': 'chunked' },
  });
  expect(JSON.parse(chunked.body)).toEqual({ method: 'DELETE', body: 'hello', encoding: 'chunked' });
  const empty = await ask(bench, '/', { method: 'POST' });
  expect(JSON.parse(empty.body)).toEqual({ method: 'POST', body: '', length: '0' });
  const named = await ask(bench, '/', {
    method: 'POST',
    send: 'hello',
    headers: { 'content-length': 5, connection: 'content-length' },
  });
  expect(JSON.parse(named.body)).toEqual({ method: 'POST', body: 'hello', length: '5' });
});

test('answers HEAD, 204 and 304 without a body and keeps the connection usable', async () => {
  bench = await openBench();
  const app = await bench.app((request, response) => {
    if (request.url === '/204') response.writeHead(204).end();
    else if (request.url === '/304') response.writeHead(304, { etag: '"1"' }).end();
    else response.writeHead(200, { 'content-length': 1000 }).end('x'.repeat(1000));
  });
  bench.set(route(app.port));
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  const head = await ask(bench, '/', { method: 'HEAD', agent });
  expect([head.status, head.headers['content-length'], head.body]).toEqual([200, '1000', '']);
  expect((await ask(bench, '/204', { agent })).status).toBe(204);
  expect((await ask(bench, '/304', { agent })).headers.etag).toBe('"1"');
  expect((await ask(bench, '/', { agent })).body).toHaveLength(1000);
  agent.destroy();
});

test('does not wait for the app to say more: headers and events of a stream arrive as they are sent', async () => {
  bench = await openBench();
  const steps: Array<() => void> = [];
  const app = await bench.app((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.flushHeaders();
    steps.push(() => response.write('data: one\n\n'));
    steps.push(() => response.end('data: two\n\n'));
  });
  bench.set(route(app.port));
  // Each step of the app is made only after the visitor has received the one before: buffering would hang here.
  const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
    const request = http.get({
      host: '127.0.0.1',
      port: bench.port,
      agent: false,
      headers: { host: 'pr-7--shop.localhost' },
    });
    request.once('response', resolve);
    request.once('error', reject);
  });
  steps[0]?.();
  const chunks = response[Symbol.asyncIterator]();
  expect(String((await chunks.next()).value)).toBe('data: one\n\n');
  steps[1]?.();
  expect(String((await chunks.next()).value)).toBe('data: two\n\n');
  expect((await chunks.next()).done).toBe(true);
});

test('streams a 100 MB upload through bounded memory, to an app that reads it late', async () => {
  bench = await openBench();
  let read: (() => void) | undefined;
  const app = await bench.app((request, response) => {
    let bytes = 0;
    read = () => {
      request.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
      });
      request.on('end', () => response.end(String(bytes)));
    };
  });
  bench.set(route(app.port));
  const total = 100 * 1024 * 1024;
  const chunk = Buffer.alloc(1024 * 1024, 1);
  const request = http.request({
    host: '127.0.0.1',
    port: bench.port,
    method: 'PUT',
    agent: false,
    headers: { host: 'pr-7--shop.localhost', 'content-length': total },
  });
  const answered = new Promise<http.IncomingMessage>((resolve, reject) => {
    request.once('response', resolve);
    request.once('error', reject);
  });
  let sent = 0;
  let stalled = false;
  const pump = () => {
    while (sent < total) {
      sent += chunk.length;
      if (!request.write(chunk)) {
        stalled = true;
        request.once('drain', () => {
          stalled = false;
          pump();
        });
        return;
      }
    }
    request.end();
  };
  pump();
  await waitFor('the upload to stall', () => read !== undefined && stalled);
  // The app has read nothing, so nearly all of the upload must still be at the visitor.
  const sentWhileStalled = await settledValue(() => sent);
  expect(sentWhileStalled).toBeLessThan(30 * 1024 * 1024);
  read?.();
  expect((await readAll(await answered)).toString()).toBe(String(total));
});

test('tells the app when the visitor has gone', async () => {
  bench = await openBench();
  let started = false;
  let aborted = false;
  const app = await bench.app((_request, response) => {
    started = true;
    response.on('close', () => {
      aborted = true;
    });
  });
  bench.set(route(app.port));
  const request = http.get({
    host: '127.0.0.1',
    port: bench.port,
    agent: false,
    headers: { host: 'pr-7--shop.localhost' },
  });
  request.on('error', () => {});
  await waitFor('the app to be asked', () => started);
  request.destroy();
  await waitFor('the app to notice', () => aborted);
  await waitFor('the outcome to be counted', () => bench.outcomes.includes('abandoned'));
});

test('breaks the connection when the app hangs up half-way; never a short success', async () => {
  bench = await openBench();
  const app = await bench.app((request, response) => {
    if (request.url === '/sized') response.writeHead(200, { 'content-length': 100 });
    response.write('half');
    setImmediate(() => response.socket?.resetAndDestroy());
  });
  bench.set(route(app.port));
  await expect(ask(bench, '/chunked')).rejects.toThrow();
  await expect(ask(bench, '/sized')).rejects.toThrow();
  await waitFor(
    'both cuts to be counted',
    () => bench.outcomes.filter((outcome) => outcome === 'cut').length === 2,
  );
});

test('delivers an early answer to an upload that the app did not read', async () => {
  bench = await openBench();
  const app = await bench.app((_request, response) => response.writeHead(413).end('too much'));
  bench.set(route(app.port));
  const answer = await ask(bench, '/', { method: 'POST', send: Buffer.alloc(300_000) });
  expect([answer.status, answer.body]).toEqual([413, 'too much']);
});

test('asks for the body only when the app is there', async () => {
  bench = await openBench();
  const app = await bench.app(async (request, response) => response.end(await readAll(request)));
  bench.set(route(app.port), route(null, { host: 'down.localhost', state: 'failed' }));
  const expectContinue = (host: string) =>
    new Promise<{ status: number; continued: boolean }>((resolve, reject) => {
      let continued = false;
      const request = http.request({
        host: '127.0.0.1',
        port: bench.port,
        method: 'POST',
        agent: false,
        headers: { host, expect: '100-continue', 'content-length': 2 },
      });
      request.on('continue', () => {
        continued = true;
        request.end('hi');
      });
      request.on('response', (response) => {
        response.resume();
        resolve({ status: response.statusCode ?? 0, continued });
        request.destroy();
      });
      request.on('error', reject);
      request.flushHeaders();
    });
  expect(await expectContinue('pr-7--shop.localhost')).toEqual({ status: 200, continued: true });
  expect(await expectContinue('down.localhost')).toEqual({ status: 503, continued: false });
});

test('redirects with the rest of the path, and never to another site', async () => {
  bench = await openBench();
  const redirect = (to: string) => ({ to, code: 302 as const });
  bench.set(
    route(null, { redirect: redirect('https://shop.example.com/') }),
    route(null, { host: 'home.localhost', redirect: redirect('/') }),
  );
  expect((await ask(bench, '/a/b?c=d')).headers.location).toBe('https://shop.example.com/a/b?c=d');
  const tricked = await ask(bench, '//evil.example/', { headers: { host: 'home.localhost' } });
  expect(tricked.headers.location).toBe('/evil.example/');
});

test('answers probes on any host and keeps its own paths from the apps', async () => {
  bench = await openBench();
  const app = await bench.app((_request, response) => response.end('app'));
  expect((await ask(bench, '/.well-known/bough/healthz', { headers: { host: '??' } })).status).toBe(200);
  bench.set(route(app.port));
  expect((await ask(bench, '/.well-known/bough/healthz')).body).toBe('ok\n');
  expect((await ask(bench, '/.well-known/bough/other')).headers['x-bough-cause']).toBe('reserved-path');
});

test('survives a pooled connection that the app closes in the moment of its use', async () => {
  bench = await openBench();
  let requests = 0;
  const app = await bench.app((_request, response) => {
    requests += 1;
    if (requests === 2) response.socket?.resetAndDestroy();
    else response.end(String(requests));
  });
  bench.set(route(app.port));
  expect((await ask(bench, '/')).body).toBe('1');
  expect((await ask(bench, '/')).body).toBe('3');
});

test('cuts bytes that are no request, with the cause', async () => {
  bench = await openBench({ limits: { headerBytes: 4096 } });
  expect(await rawExchange(bench.port, 'nonsense\r\n\r\n')).toContain('x-bough-cause: bad-request');
  const large = `GET / HTTP/1.1\r\nhost: a.localhost\r\ncookie: ${'x'.repeat(10_000)}\r\n\r\n`;
  expect(await rawExchange(bench.port, large)).toMatch(/^HTTP\/1\.1 431 .*x-bough-cause: headers-too-large/s);
});

function rawExchange(port: number, bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, '127.0.0.1', () => socket.write(bytes));
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk;
    });
    socket.on('close', () => resolve(text));
    socket.on('error', reject);
  });
}

/** The value once it has stayed the same over several looks. */
async function settledValue(read: () => number): Promise<number> {
  let last = read();
  let same = 0;
  await waitFor('a value to settle', () => {
    same = read() === last ? same + 1 : 0;
    last = read();
    return same >= 5;
  });
  return last;
}
