import { signAccess } from '@bough/domain/access-link';
import { Secret } from '@bough/domain/secret';
import { afterEach, expect, test } from 'vitest';
import type { GatewayOptions } from '../src/gateway.ts';
import { type AskOptions, ask, type Bench, openBench, quietLog, route } from './bench.ts';

let bench: Bench;
afterEach(() => bench.close());

const KEY = new Secret('link key');
const scope = { environmentId: '7', epoch: 0 };
const inSeconds = (seconds: number) => new Date(Date.now() + seconds * 1_000);
const linkOf = (over: Partial<typeof scope> = {}, seconds = 600) =>
  signAccess(KEY, 'link', { ...scope, ...over }, inSeconds(seconds));
const link = linkOf();
const access = { kind: 'link', epoch: 0 } as const;

async function open(options: Partial<GatewayOptions> = {}) {
  bench = await openBench({ linkKey: KEY, trustedProxies: ['loopback'], ...options });
  const app = await bench.app((request, response) =>
    response.end(JSON.stringify({ url: request.url, headers: request.headers })),
  );
  bench.set(route(app.port, { access }));
  return app;
}

const cause = async (url: string, options?: AskOptions) => {
  const { status, headers } = await ask(bench, url, options);
  return [status, headers['x-bough-cause']];
};

/** The cookie that a link is exchanged for, as a browser sends it back. */
async function cookie(): Promise<string> {
  const [given = ''] = (await ask(bench, `/?bough_link=${link}`)).headers['set-cookie'] ?? [];
  return given.split(';')[0] ?? '';
}

test('a link becomes a cookie and the clean address, and the app sees neither', async () => {
  await open();
  const entered = await ask(bench, `/orders?page=2&bough_link=${link}&q=a%20b`);
  expect([entered.status, entered.headers.location]).toEqual([302, '/orders?page=2&q=a%20b']);
  expect(entered.headers['cache-control']).toBe('no-store');
  expect(entered.headers['set-cookie']?.[0]).toMatch(
    /^bough-access=[\w.-]+; Path=\/; Max-Age=\d{3}; HttpOnly; SameSite=Lax$/,
  );
  const headers = { cookie: `session=1; ${await cookie()}; theme=dark` };
  const seen = JSON.parse((await ask(bench, '/orders', { headers })).body);
  expect(seen.headers.cookie).toBe('session=1;  theme=dark'.replace('  ', ' '));
  expect(JSON.stringify(seen)).not.toContain('bough');
});

test('over HTTPS the cookie is for this very host, and never sent in clear', async () => {
  await open();
  const headers = { 'x-forwarded-proto': 'https' };
  const { headers: answered } = await ask(bench, `/?bough_link=${link}`, { headers });
  expect(answered['set-cookie']?.[0]).toMatch(/^__Host-bough-access=.*; Secure$/);
});

test.each([
  ['no link', '/', 'link-required'],
  ['a guess', '/?bough_link=1.2', 'link-required'],
  ['another environment’s', `/?bough_link=${linkOf({ environmentId: '8' })}`, 'link-required'],
  ['a revoked one', `/?bough_link=${linkOf({ epoch: 1 })}`, 'link-required'],
  ['an old one', `/?bough_link=${linkOf({}, -1)}`, 'link-expired'],
  ['a cookie’s value', `/?bough_link=${signAccess(KEY, 'visit', scope, inSeconds(60))}`, 'link-required'],
])('%s opens nothing', async (_what, url, expected) => {
  await open();
  expect(await cause(url)).toEqual([403, expected]);
  expect((await ask(bench, url, { headers: { accept: 'text/html' } })).body).toContain('bough env url');
});

test('a cookie ends with its link, with a new epoch, and opens no other environment', async () => {
  const app = await open();
  const headers = { cookie: await cookie() };
  expect((await ask(bench, '/', { headers })).status).toBe(200);
  const old = `bough-access=${signAccess(KEY, 'visit', scope, inSeconds(-1))}`;
  expect(await cause('/', { headers: { cookie: old } })).toEqual([403, 'link-expired']);
  // Planted by a neighbour, beside the good one.
  expect((await ask(bench, '/', { headers: { cookie: `${old}; ${headers.cookie}` } })).status).toBe(200);
  bench.set(route(app.port, { access: { kind: 'link', epoch: 1 } }));
  expect(await cause('/', { headers })).toEqual([403, 'link-required']);
  bench.set(route(app.port, { access, environmentId: '8' }));
  expect(await cause('/', { headers })).toEqual([403, 'link-required']);
});

test('who is in already is not locked out by an old link', async () => {
  await open();
  const { status, headers } = await ask(bench, `/a?bough_link=${linkOf({}, -1)}`, {
    headers: { cookie: await cookie() },
  });
  expect([status, headers.location, headers['set-cookie']]).toEqual([302, '/a', undefined]);
});

test('no link leads off the site', async () => {
  await open();
  expect((await ask(bench, `//evil.example/a?bough_link=${link}`)).headers.location).toBe('/evil.example/a');
  expect((await ask(bench, `/\\evil.example?bough_link=${link}`)).headers.location).toBe('/evil.example');
});

test('only who may come in wakes it', async () => {
  const rung: string[] = [];
  const visits = { enter: () => () => {}, wake: (id: string) => void rung.push(id), close: async () => {} };
  await open({ visits, limits: { holdMs: 20, wakePageMs: 20 } });
  const given = await cookie();
  bench.set(route(null, { access, state: 'asleep' }));
  expect(await cause('/')).toEqual([403, 'link-required']);
  expect(await cause(`/?bough_link=${linkOf({}, -1)}`)).toEqual([403, 'link-expired']);
  // A program that looks at links in chats comes this far, and no further.
  expect((await ask(bench, `/?bough_link=${link}`)).status).toBe(302);
  expect(rung).toEqual([]);
  expect(await cause('/', { headers: { cookie: given } })).toEqual([503, 'waking']);
  expect(rung).not.toEqual([]);
});

test('without the key nobody is let in, and an open app keeps what is its own', async () => {
  const app = await open({ linkKey: undefined, log: quietLog });
  expect(await cause(`/?bough_link=${link}`)).toEqual([403, 'link-required']);
  bench.set(route(app.port));
  const seen = JSON.parse((await ask(bench, `/?bough_link=${link}`)).body);
  expect(seen.url).toContain('bough_link');
});
