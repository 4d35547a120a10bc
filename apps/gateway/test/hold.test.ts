import { readFile } from 'node:fs/promises';
import http from 'node:http';
import { waitFor } from '@bough/testkit/wait-for';
import { afterEach, expect, test } from 'vitest';
import { createGateway } from '../src/gateway.ts';
import { ask, type Bench, openBench, quietLog, readAll, route, startApp, tableOf } from './bench.ts';

let bench: Bench;
afterEach(() => bench.close());

const swapping = (port: number | null) => route(port, { state: 'swapping' });

test('no request fails while the release is swapped twenty times under load', async () => {
  bench = await openBench();
  let release = 0;
  const start = async () => {
    release += 1;
    const name = String(release);
    return await startApp(async (request, response) => {
      const body = await readAll(request);
      response.end(`${name}:${body}`);
    });
  };
  let serving = await start();
  bench.set(route(serving.port));

  const agent = new http.Agent({ keepAlive: true, maxSockets: 16 });
  const answers: string[] = [];
  const failures: unknown[] = [];
  let isDone = false;
  const visitor = async (number: number) => {
    for (let count = 0; !isDone; count += 1) {
      const send = count % 2 === 0 ? `${number}-${count}` : undefined;
      try {
        const answer = await ask(bench, '/', { agent, method: send ? 'POST' : 'GET', send });
        const [name = '', body] = answer.body.split(':');
        if (answer.status !== 200 || body !== (send ?? '')) failures.push(answer);
        answers.push(name);
      } catch (error) {
        failures.push(error);
      }
    }
  };
  const visitors = Array.from({ length: 12 }, (_, number) => visitor(number));
  for (let swap = 1; swap <= 20; swap += 1) {
    const before = answers.length;
    await waitFor('traffic before the swap', () => answers.length > before + 20);
    bench.set(swapping(serving.port));
    await waitFor('requests to be held', () => bench.held() > 0);
    const old = serving;
    serving = await start();
    bench.set(route(serving.port));
    await waitFor('the new release to answer', () => answers.at(-1) === String(release));
    // After the route has left it and the new one has answered, as the worker drains the old release.
    await new Promise<void>((resolve) => {
      old.server.close(() => resolve());
      old.server.closeIdleConnections();
    });
  }
  isDone = true;
  await Promise.all(visitors);
  agent.destroy();
  await serving.close();
  expect(failures).toEqual([]);
  expect(new Set(answers).size).toBe(21);
  expect(bench.held()).toBe(0);
});

test('delivers the body of a held request whole, without having read it', async () => {
  bench = await openBench();
  const app = await bench.app(async (request, response) => {
    const body = await readAll(request);
    response.end(`${body.length} ${body.equals(Buffer.alloc(body.length, 'ab'))}`);
  });
  bench.set(swapping(null));
  const length = 20 * 1024 * 1024;
  const answer = ask(bench, '/upload', { method: 'POST', send: Buffer.alloc(length, 'ab') });
  await waitFor('the request to be held', () => bench.held() === 1);
  const connections = await new Promise<number>((resolve) => {
    bench.gateway.server.getConnections((_error, count) => resolve(count));
  });
  expect(connections).toBe(1);
  bench.set(route(app.port));
  expect((await answer).body).toBe(`${length} true`);
});

test('holds only so many, in total and for each environment, and only so long', async () => {
  bench = await openBench({ limits: { held: 3, heldPerEnvironment: 2, holdMs: 400 } });
  const second = route(null, { host: 'pr-8.localhost', environmentId: '8', state: 'swapping' });
  bench.set(swapping(null), second);
  const held = [ask(bench, '/'), ask(bench, '/')];
  await waitFor('two to be held', () => bench.held() === 2);
  const over = await ask(bench, '/');
  expect([over.status, over.headers['x-bough-cause'], over.headers['retry-after']]).toEqual([
    503,
    'too-many-held',
    '2',
  ]);
  held.push(ask(bench, '/', { headers: { host: 'pr-8.localhost' } }));
  await waitFor('three to be held', () => bench.held() === 3);
  expect((await ask(bench, '/', { headers: { host: 'pr-8.localhost' } })).headers['x-bough-cause']).toBe(
    'too-many-held',
  );
  for (const answer of await Promise.all(held)) {
    expect([answer.status, answer.headers['x-bough-cause']]).toEqual([503, 'swap-timeout']);
    expect(answer.headers['retry-after']).toBeDefined();
  }
  expect(bench.held()).toBe(0);
});

test('gives the place of a visitor who left to the next one', async () => {
  bench = await openBench({ limits: { heldPerEnvironment: 1 } });
  bench.set(swapping(null));
  const request = http.get({
    host: '127.0.0.1',
    port: bench.port,
    agent: false,
    headers: { host: 'pr-7--shop.localhost' },
  });
  request.on('error', () => {});
  await waitFor('the request to be held', () => bench.held() === 1);
  request.destroy();
  await waitFor('the place to be free', () => bench.held() === 0);
});

test('a swap that ends badly is said to those who waited', async () => {
  bench = await openBench();
  bench.set(swapping(null));
  const answer = ask(bench, '/');
  await waitFor('the request to be held', () => bench.held() === 1);
  bench.set(route(null, { state: 'failed' }));
  expect((await answer).headers['x-bough-cause']).toBe('failed');
});

test('an app that starts to listen within a moment is not an error', async () => {
  bench = await openBench({ limits: { refusedRetryMs: 10_000 } });
  const app = await startApp((_request, response) => response.end('up'));
  await app.close();
  bench.set(route(app.port));
  const answer = ask(bench, '/', { method: 'POST', send: 'body' });
  const next = await bench.app(async (request, response) => response.end(`up ${await readAll(request)}`));
  // The refused request looks again as soon as the table changes, whatever the pause. A table set too early is no harm.
  const nudge = setInterval(() => bench.set(route(next.port)), 20);
  expect((await answer).body).toBe('up body');
  clearInterval(nudge);
});

test('a restarted gateway serves the last table without anybody telling it', async () => {
  bench = await openBench();
  const app = await bench.app((_request, response) => response.end('still here'));
  bench.set(route(app.port, { deploymentId: '1' }));
  bench.set(route(app.port));
  await bench.gateway.close();
  expect(JSON.parse(await readFile(bench.tableFile, 'utf8')).routes).toHaveLength(1);

  const restarted = createGateway({ tableFile: bench.tableFile, trustedProxies: [], log: quietLog });
  const { port } = await restarted.listen(0, '127.0.0.1');
  const answer = await ask({ port }, '/');
  expect([answer.body, answer.headers['x-bough-deployment']]).toEqual(['still here', '70']);
  await restarted.close();
});

test('a closing gateway answers what it holds and finishes what it has begun', async () => {
  bench = await openBench({ limits: { closeGraceMs: 5_000 } });
  let finish: (() => void) | undefined;
  const app = await bench.app((_request, response) => {
    response.write('begun ');
    finish = () => response.end('and finished');
  });
  bench.gateway.setTable(tableOf(route(app.port), route(null, { host: 'b.localhost', state: 'swapping' })));
  const running = ask(bench, '/');
  const held = ask(bench, '/', { headers: { host: 'b.localhost' } });
  await waitFor('both to be there', () => finish !== undefined && bench.held() === 1);
  const closed = bench.gateway.close();
  expect((await held).headers['x-bough-cause']).toBe('gateway-closing');
  finish?.();
  expect((await running).body).toBe('begun and finished');
  await closed;
});
