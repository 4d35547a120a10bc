import { waitFor } from '@bough/testkit/wait-for';
import { afterEach, expect, test } from 'vitest';
import { createVisits } from '../src/visits.ts';
import { ask, type Bench, openBench, quietLog, route } from './bench.ts';

let bench: Bench;
const told: string[] = [];
const rung: string[] = [];
let isAway = false;

afterEach(async () => {
  await bench.close();
  told.length = 0;
  rung.length = 0;
  isAway = false;
});

const visitsOf = () =>
  createVisits({
    record: async (visits) => {
      if (isAway) throw new Error('the database is away');
      told.push(...visits.map(({ environmentId }) => environmentId));
    },
    askToWake: async (environmentId) => {
      rung.push(environmentId);
    },
    flushMs: 20,
    wakeAgainMs: 60_000,
    log: quietLog,
  });

async function open(limits: { wakePageMs?: number; holdMs?: number } = {}) {
  const visits = visitsOf();
  bench = await openBench({ visits, limits });
  return visits;
}

test('a visitor wakes it and gets the answer, and the next ones wait with the first', async () => {
  const visits = await open();
  bench.set(route(null, { state: 'asleep' }));
  const answers = [ask(bench, '/'), ask(bench, '/style.css')];
  await waitFor('both to be held', () => bench.held() === 2);
  expect(rung).toEqual(['7']);
  const app = await bench.app((_request, response) => response.end('awake'));
  bench.set(route(app.port));
  expect((await Promise.all(answers)).map(({ status, body }) => `${status} ${body}`)).toEqual([
    '200 awake',
    '200 awake',
  ]);
  await waitFor('the visits to be told', () => told.includes('7'));
  await visits.close();
});

test('put to sleep again at once, it is woken again at once', async () => {
  const visits = await open();
  const app = await bench.app((_request, response) => response.end('awake'));
  for (const times of [1, 2]) {
    bench.set(route(null, { state: 'asleep' }));
    const answer = ask(bench, '/');
    await waitFor('it to be rung for', () => rung.length === times);
    bench.set(route(app.port));
    expect((await answer).status).toBe(200);
  }
  await visits.close();
});

test('who reads pages gets one that asks again, others a 503 that says when', async () => {
  const visits = await open({ wakePageMs: 50, holdMs: 50 });
  bench.set(route(null, { state: 'asleep' }));
  const page = await ask(bench, '/', {
    headers: { accept: 'text/html', 'user-agent': 'Mozilla/5.0 Firefox/132.0' },
  });
  expect([page.status, page.headers['x-bough-cause']]).toEqual([503, 'waking']);
  expect(page.body).toContain('http-equiv="refresh" content="2"');
  const other = await ask(bench, '/', { headers: { accept: 'application/json' } });
  expect([other.status, other.headers['retry-after']]).toEqual([503, '2']);
  await visits.close();
});

test('a crawler neither wakes it nor counts as a visit', async () => {
  const visits = await open();
  const headers = {
    'user-agent': 'Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)',
  };
  bench.set(route(null, { state: 'asleep' }));
  expect((await ask(bench, '/', { headers })).headers['x-bough-cause']).toBe('asleep');
  const app = await bench.app((_request, response) => response.end('awake'));
  bench.set(route(app.port));
  expect((await ask(bench, '/', { headers })).status).toBe(200);
  await visits.close();
  expect([rung, told]).toEqual([[], []]);
});

test('what cannot be told now is told later', async () => {
  const visits = await open();
  const app = await bench.app((_request, response) => response.end('awake'));
  bench.set(route(app.port));
  isAway = true;
  await ask(bench, '/');
  isAway = false;
  await waitFor('the visit to be told', () => told.includes('7'));
  await visits.close();
});

test('who stays counts as a visitor all the time', async () => {
  const visits = await open();
  const leave = visits.enter('7');
  await waitFor('the visit to be told again and again', () => told.length > 2);
  leave();
  leave();
  await visits.close();
  told.length = 0;
  await visits.close();
  expect(told).toEqual([]);
});
