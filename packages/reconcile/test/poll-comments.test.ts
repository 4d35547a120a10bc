import { listDeliveries } from '@bough/store/deliveries';
import { findProject, type Project, removeProject } from '@bough/store/projects';
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { type SandboxFixture, TOKEN } from '../../forge/test/sandbox-fixture.ts';
import { connectProject, disconnectProject } from '../src/connect-project.ts';
import { type ObserveContext, observe } from '../src/observe.ts';
import { pollComments } from '../src/poll-comments.ts';
import { type ObserveHarness, openObserveHarness } from './observe-harness.ts';

/** Comments where no webhook arrives: real Postgres, the GitHub driver, and the sandbox forge at its other end. */

const never = () => new AbortController().signal;
const PAGE = 5;

let harness: ObserveHarness;
let pool: pg.Pool;
let forge: SandboxFixture;
let context: ObserveContext;
let project: Project;
let number: number;
let enqueued: Set<string>;
/** What the forge's clock says while somebody writes. */
let nowMs = Date.parse('2026-01-01T00:00:00Z');

beforeAll(async () => {
  // Pages of five, so that a dozen comments fill three.
  const smallPages: typeof fetch = (input, init) => {
    const url = new URL(String(input));
    if (url.pathname.endsWith('/issues/comments') && url.searchParams.get('per_page') === '100')
      url.searchParams.set('per_page', String(PAGE));
    return fetch(url, init);
  };
  harness = await openObserveHarness('poll-comments', 'token', { fetch: smallPages });
  ({ pool, forge } = harness);
  await forge.setPermission('ada', 'write');
  await forge.setPermission('ben', 'read');
  await forge.push('cart', { 'cart.txt': 'cart\n' });
  number = await forge.openPullRequest('cart');
  context = harness.context({
    enqueue: async (queue, key) => {
      if (queue === 'observe') enqueued.add(key);
    },
  });
});

afterAll(async () => {
  try {
    forge.expectConformingCalls();
  } finally {
    await harness.close();
  }
});

const connecting = () => ({
  ...{ pool, installationId: 'i1', forge: forge.forge, publicUrl: 'http://localhost:3000' },
  ...{ webhookSecret: null, enqueue: context.enqueue },
});

beforeEach(async () => {
  enqueued = new Set();
  await write('ada', '/bough delete');
  project = await connectProject(connecting(), {
    ...{ owner: 'acme', name: 'shop', production: 'external', intake: 'poll' },
  });
  await observeAll();
});

afterEach(async () => {
  await disconnectProject(connecting(), project);
  await pool.query('delete from commands');
  await pool.query('delete from deliveries');
  await pool.query('delete from requests');
});

/** Time goes on by that much on the forge before somebody writes. */
async function write(user: string, body: string, afterMs = 1_000): Promise<number> {
  nowMs += afterMs;
  await atForgeTime(() => forge.comment(number, user, body));
  return (await forge.comments(number)).at(-1)?.id ?? 0;
}

async function atForgeTime<Result>(work: () => Promise<Result>): Promise<Result> {
  vi.useFakeTimers({ toFake: ['Date'], now: nowMs });
  try {
    return await work();
  } finally {
    vi.useRealTimers();
  }
}

async function edit(id: number, body: string): Promise<void> {
  nowMs += 1_000;
  const response = await atForgeTime(() =>
    fetch(`${forge.sandbox.apiUrl}/repos/acme/shop/issues/comments/${id}`, {
      method: 'PATCH',
      headers: { authorization: `token ${TOKEN}`, 'content-type': 'application/json' },
      body: JSON.stringify({ body }),
    }),
  );
  expect(response.status).toBe(200);
}

/** One poll, by a worker that remembers nothing. Answers the statuses of what it asked the forge. */
async function poll(): Promise<number[]> {
  const fresh = await findProject(pool, project.id);
  if (fresh === undefined) throw new Error('the project is gone');
  const before = forge.sandbox.apiCalls.length;
  await pollComments(context, fresh, never());
  return forge.sandbox.apiCalls.slice(before).map(({ status }) => status);
}

async function observeAll(): Promise<void> {
  const keys = [...enqueued];
  enqueued = new Set();
  for (const key of keys) expect(await observe(context, key, never())).toEqual({ kind: 'done' });
}

/** Polls until a poll finds nothing new, at most so often. */
async function pollOut(timesMax: number): Promise<void> {
  for (let times = 0; times < timesMax; times += 1) if ((await poll())[0] === 304) return;
  throw new Error(`${timesMax} polls were not enough`);
}

async function requests(): Promise<string[]> {
  const { rows } = await pool.query<{ kind: string }>(
    'select kind from requests where project_id = $1 order by requests.id',
    [project.id],
  );
  return rows.map(({ kind }) => kind);
}

test('a command is followed once, with its sign, and what was written before the project was added is none', async () => {
  const id = await write('ada', '/bough redeploy');
  expect(await poll()).toEqual([200]);
  expect([...enqueued]).toEqual([`${project.id}:pull/${number}`]);
  await observeAll();
  expect(await requests()).toEqual(['redeploy']);
  expect(await forge.reactions(id)).toMatchObject({ rocket: 1, '-1': 0 });
  await pollOut(3);
  expect(await poll()).toEqual([304]);
  // A worker that died before it wrote how far it had come reads it all again.
  await pool.query('update projects set comments_since = null, comments_etag = null');
  await poll();
  expect(enqueued.size).toBe(0);
  expect(await requests()).toEqual(['redeploy']);
  expect(await listDeliveries(pool)).toMatchObject([{ event: 'issue_comment', fate: 'observed' }]);
});

test('who may only read gets a sign and a reason, and is not answered again with each poll', async () => {
  const id = await write('ben', '/bough delete');
  await poll();
  await observeAll();
  expect(await forge.reactions(id)).toMatchObject({ '-1': 1, rocket: 0 });
  await write('ada', 'please do not');
  expect(await poll()).toEqual([200]);
  expect(enqueued.size).toBe(0);
  expect(await requests()).toEqual([]);
  expect(await listDeliveries(pool)).toMatchObject([
    { fate: 'declined', reason: expect.stringContaining('ben may read only') },
  ]);
});

test('an edited comment is no command, and says so once; neither are talk and bots, nor what is edited into talk', async () => {
  await edit(await write('ada', '/bough delete'), 'rather not');
  await write('ada', 'talk about /bough delete');
  await write('sandbox[bot]', '/bough delete');
  await pollOut(5);
  expect(enqueued.size).toBe(0);
  expect(await listDeliveries(pool)).toEqual([]);
  const edited = await write('ada', '/bough redeploy');
  await edit(edited, '/bough delete');
  await pollOut(5);
  await observeAll();
  expect(await requests()).toEqual([]);
  expect(await forge.reactions(edited)).toMatchObject({ confused: 1, rocket: 0 });
  expect(await listDeliveries(pool)).toMatchObject([
    { action: 'edited', fate: 'declined', reason: expect.stringContaining('edited before Bough read it') },
  ]);
  await edit(edited, '/bough redeploy');
  await pollOut(5);
  expect(enqueued.size).toBe(0);
  // Edited after it was followed: neither again, nor undone.
  const id = await write('ada', '/bough redeploy');
  await pollOut(5);
  await edit(id, '/bough delete');
  await pollOut(5);
  await observeAll();
  expect(await requests()).toEqual(['redeploy']);
});

test('a flood is read a page a poll, and nothing is left out', async () => {
  for (let index = 0; index < 13; index += 1) await write('ada', `/bough keep ${index + 1}d`, 300);
  expect(await poll()).toEqual([200]);
  expect((await listDeliveries(pool)).length).toBeLessThanOrEqual(PAGE);
  await pollOut(12);
  const bodies = (await listDeliveries(pool)).map(({ payload }) => (payload as { body: string }).body);
  expect(bodies.reverse()).toEqual(Array.from({ length: 13 }, (_, index) => `/bough keep ${index + 1}d`));
});

test('a comment that the forge shows late is read all the same', async () => {
  nowMs += 120_000;
  const late = nowMs + 1_000;
  await write('ada', 'first', 20_000);
  await pollOut(3);
  nowMs = late;
  await write('ada', '/bough redeploy', 0);
  nowMs += 60_000;
  await pollOut(5);
  await observeAll();
  expect(await requests()).toEqual(['redeploy']);
});

test('a project that was away begins anew: what was said meanwhile was not said to Bough', async () => {
  await removeProject(pool, project.id);
  await write('ada', '/bough delete');
  project = await connectProject(connecting(), {
    ...{ owner: 'acme', name: 'shop', production: 'external', intake: 'poll' },
  });
  await observeAll();
  await pollOut(3);
  expect(enqueued.size).toBe(0);
  await write('ada', '/bough redeploy');
  await pollOut(5);
  await observeAll();
  expect(await requests()).toEqual(['redeploy']);
});
