import net from 'node:net';
import type { Route } from '@bough/domain/route';
import { afterEach, describe, expect, test } from 'vitest';
import { type Cause, causes } from '../src/cause.ts';
import { ask, type Bench, openBench, route, startApp } from './bench.ts';

let bench: Bench;
afterEach(() => bench.close());

describe('each cause has its status and says its name', () => {
  const states: Array<[Cause, Partial<Route>]> = [
    ['starting', { state: 'starting' }],
    ['asleep', { state: 'asleep' }],
    ['failed', { state: 'failed' }],
  ];
  test.each(states)('%s', async (cause, changes) => {
    bench = await openBench();
    bench.set(route(null, changes));
    const answer = await ask(bench, '/', { headers: { accept: 'text/html' } });
    expect([answer.status, answer.headers['x-bough-cause']]).toEqual([503, cause]);
    expect(answer.headers).toMatchObject({
      'x-robots-tag': 'noindex, nofollow',
      'cache-control': 'no-store',
    });
    expect(answer.headers['x-bough-deployment']).toBeUndefined();
    expect(answer.body).toContain('href="http://localhost:3000/environments/pr-7--shop"');
    expect(answer.body.includes('http-equiv="refresh"')).toBe(cause === 'starting');
    expect(answer.headers['retry-after'] !== undefined).toBe(cause !== 'failed');
  });

  test('unknown-host, unknown-path and no-table name no environment', async () => {
    bench = await openBench();
    const fresh = await ask(bench, '/');
    expect([fresh.status, fresh.headers['x-bough-cause']]).toEqual([503, 'no-table']);
    bench.set(route(1, { path: '/api/' }));
    const unknown = await ask(bench, '/', { headers: { host: 'pr-9--shop.localhost' } });
    expect([unknown.status, unknown.headers['x-bough-cause']]).toEqual([404, 'unknown-host']);
    expect(unknown.body).not.toContain('pr-7');
    expect((await ask(bench, '/')).headers['x-bough-cause']).toBe('unknown-path');
  });

  test.each([
    'Host: a b',
    'Host: a.localhost\r\nHost: pr-7--shop.localhost',
    'Host: <script>',
    'Host: a.localhost:99999',
    'X-None: 1',
  ])('bad-host: %j', async (header) => {
    bench = await openBench();
    bench.set(route(1));
    expect(await raw(bench.port, `GET / HTTP/1.1\r\n${header}\r\nConnection: close\r\n\r\n`)).toMatch(
      /^HTTP\/1\.1 400 .*x-bough-cause: bad-host/s,
    );
  });

  test('bad-host: a request line that names another host than the header', async () => {
    bench = await openBench();
    const answer = await ask(bench, 'http://other.localhost/');
    expect(answer.headers['x-bough-cause']).toBe('bad-host');
  });

  test('upstream-refused', async () => {
    bench = await openBench({ limits: { refusedRetryMs: 100 } });
    const app = await startApp(() => {});
    await app.close();
    bench.set(route(app.port));
    const startedAt = performance.now();
    const answer = await ask(bench, '/', { headers: { accept: 'text/html' } });
    expect([answer.status, answer.headers['x-bough-cause']]).toEqual([502, 'upstream-refused']);
    expect(answer.body).toContain('The app does not answer');
    expect(performance.now() - startedAt).toBeGreaterThan(90);
  });

  test('upstream-reset, sent once only', async () => {
    bench = await openBench();
    let requests = 0;
    const app = await bench.app((_request, response) => {
      requests += 1;
      response.socket?.destroy();
    });
    bench.set(route(app.port));
    const answer = await ask(bench, '/', { method: 'POST', send: 'order' });
    expect([answer.status, answer.headers['x-bough-cause'], requests]).toEqual([502, 'upstream-reset', 1]);
  });

  test('upstream-timeout and client-timeout are told apart', async () => {
    bench = await openBench({ limits: { upstreamMs: 150 } });
    const app = await bench.app((request) => void request.resume());
    bench.set(route(app.port));
    const slowApp = await ask(bench, '/');
    expect([slowApp.status, slowApp.headers['x-bough-cause']]).toEqual([504, 'upstream-timeout']);
    const head =
      'POST / HTTP/1.1\r\nhost: pr-7--shop.localhost\r\ncontent-length: 10\r\nconnection: close\r\n\r\nhalf';
    expect(await raw(bench.port, head)).toMatch(/^HTTP\/1\.1 408 .*x-bough-cause: client-timeout/s);
  });

  test('upstream-not-http', async () => {
    bench = await openBench();
    const server = net.createServer((socket) =>
      socket
        .on('error', () => {})
        .resume()
        .end('SSH-2.0-OpenSSH_9.2\r\n'),
    );
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    bench.set(route(typeof address === 'object' && address !== null ? address.port : null));
    const answer = await ask(bench, '/');
    expect([answer.status, answer.headers['x-bough-cause']]).toEqual([502, 'upstream-not-http']);
    await new Promise((resolve) => server.close(resolve));
  });
});

test('speaks HTML to browsers, JSON to programs and plain text to terminals', async () => {
  bench = await openBench();
  bench.set(
    route(null, { state: 'failed', subject: 'branch/<img src=x>', statusUrl: 'javascript:alert(1)' }),
  );
  const html = await ask(bench, '/', { headers: { accept: 'text/html,*/*' } });
  expect(html.headers['content-type']).toBe('text/html; charset=utf-8');
  expect(html.body).toContain('branch/&lt;img src=x&gt;');
  expect(html.body).not.toContain('javascript:');
  expect(html.body).not.toMatch(/(?:src|href)="(?!http:\/\/localhost)/);
  const json = await ask(bench, '/', { headers: { accept: 'application/json' } });
  expect(JSON.parse(json.body)).toMatchObject({
    error: { code: 'failed', message: expect.any(String), hint: expect.any(String) },
  });
  const plain = await ask(bench, '/', { headers: { 'user-agent': 'curl/8.5.0', accept: '*/*' } });
  expect(plain.headers['content-type']).toBe('text/plain; charset=utf-8');
  expect(plain.body).toMatch(/^The deployment failed: /);
  const head = await ask(bench, '/', { method: 'HEAD' });
  expect([head.status, head.body]).toEqual([503, '']);
});

test('every cause is an error with a title, a message and a way out', async () => {
  bench = await openBench();
  for (const page of Object.values(causes)) {
    expect(page.status).toBeGreaterThanOrEqual(400);
    for (const text of [page.title, page.message(null), page.hint]) expect(text.length).toBeGreaterThan(3);
  }
});

function raw(port: number, bytes: string): Promise<string> {
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
