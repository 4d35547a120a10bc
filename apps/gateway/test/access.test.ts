import { createHash } from 'node:crypto';
import { Secret } from '@bough/domain/secret';
import { afterEach, expect, test } from 'vitest';
import { ask, type Bench, openBench, route } from './bench.ts';

let bench: Bench;
afterEach(() => bench.close());

const password = 'generated-128-bits';
const access = {
  kind: 'basic' as const,
  username: 'shop',
  passwordHash: createHash('sha256').update(password).digest('hex'),
};
const basic = (user: string, secret: string) =>
  `Basic ${Buffer.from(`${user}:${secret}`).toString('base64')}`;
const good = { authorization: basic('shop', password) };

async function openClosedBench(failures = 20) {
  bench = await openBench({
    probeToken: new Secret('probe-secret'),
    trustedProxies: ['loopback'],
    limits: { passwordFailuresPerMinute: failures },
  });
  const app = await bench.app((request, response) => response.end(JSON.stringify(request.headers)));
  bench.set(route(app.port, { access }), route(app.port, { host: 'open.localhost' }));
  return app;
}

test('asks for the password, lets the right one in, and does not pass it on', async () => {
  await openClosedBench();
  const asked = await ask(bench, '/');
  expect([asked.status, asked.headers['x-bough-cause']]).toEqual([401, 'access-required']);
  expect(asked.headers['www-authenticate']).toMatch(/^Basic realm=/);
  for (const wrong of [
    basic('shop', 'x'),
    basic('other', password),
    'Basic !!',
    'Bearer x',
    basic('shop', ''),
  ]) {
    expect((await ask(bench, '/', { headers: { authorization: wrong } })).status).toBe(401);
  }
  const let_in = await ask(bench, '/', { headers: good });
  expect(let_in.status).toBe(200);
  expect(JSON.parse(let_in.body)).not.toHaveProperty('authorization');
});

test('an open route passes the app’s own authorization on', async () => {
  await openClosedBench();
  const answer = await ask(bench, '/', { headers: { host: 'open.localhost', authorization: 'Bearer app' } });
  expect(JSON.parse(answer.body)).toMatchObject({ authorization: 'Bearer app' });
});

test('tells a stranger nothing about the state', async () => {
  await openClosedBench();
  bench.set(route(null, { access, state: 'failed' }));
  const stranger = await ask(bench, '/');
  expect([stranger.status, stranger.body.includes('pull/7')]).toEqual([401, false]);
  expect((await ask(bench, '/', { headers: good })).status).toBe(503);
});

test('the worker’s probe passes, and the app does not learn its token', async () => {
  await openClosedBench();
  const probe = await ask(bench, '/', { headers: { 'x-bough-probe': 'probe-secret' } });
  expect([probe.status, probe.headers['x-bough-deployment']]).toEqual([200, '70']);
  expect(JSON.parse(probe.body)).not.toHaveProperty('x-bough-probe');
  expect((await ask(bench, '/', { headers: { 'x-bough-probe': 'guess' } })).status).toBe(401);
});

test('stops an address that guesses, and only that one', async () => {
  await openClosedBench(3);
  const from = (address: string, authorization: string) =>
    ask(bench, '/', { headers: { 'x-forwarded-for': address, authorization } });
  for (let guess = 0; guess < 3; guess += 1) {
    expect((await from('203.0.113.9', basic('shop', String(guess)))).status).toBe(401);
  }
  const stopped = await from('203.0.113.9', basic('shop', password));
  expect([stopped.status, stopped.headers['x-bough-cause'], stopped.headers['retry-after']]).toEqual([
    429,
    'too-many-attempts',
    '60',
  ]);
  expect((await from('203.0.113.10', basic('shop', password))).status).toBe(200);
  // One visitor has a whole /64 of IPv6.
  for (let guess = 0; guess < 3; guess += 1) await from(`2001:db8::${guess + 1}`, basic('shop', 'x'));
  expect((await from('2001:db8::99', basic('shop', password))).status).toBe(429);
  expect((await from('2001:db8:0:1::99', basic('shop', password))).status).toBe(200);
});
