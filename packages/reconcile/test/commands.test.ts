import { randomUUID } from 'node:crypto';
import type { ParsedDelivery } from '@bough/forge/forge';
import { type Delivery, findDelivery, receiveDelivery } from '@bough/store/deliveries';
import { findLastEnvironment } from '@bough/store/environments';
import type { Project } from '@bough/store/projects';
import type pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { SandboxFixture } from '../../forge/test/sandbox-fixture.ts';
import { type ObserveContext, observe, observeKey } from '../src/observe.ts';
import { insertShop } from './insert-shop.ts';
import { type ObserveHarness, openObserveHarness } from './observe-harness.ts';

/** Commands as observe sees them: real Postgres, the GitHub driver, and the sandbox forge at its other end. */

let harness: ObserveHarness;
let pool: pg.Pool;
let forge: SandboxFixture;
let project: Project;
let branch: string;
let number: number;
let enqueued: string[];
let warnings: string[];
/** Answers a call to the forge in its place. */
let interfere: (method: string, path: string) => Response | undefined;
let context: ObserveContext;

beforeAll(async () => {
  harness = await openObserveHarness('commands', 'app', {
    fetch: async (input, init) => {
      const { method, url } = new Request(input, init);
      return interfere(method, new URL(url).pathname) ?? (await fetch(input, init));
    },
  });
  ({ pool, forge } = harness);
  await forge.setPermission('ada', 'write');
  await forge.setPermission('ben', 'read');
  project = await insertShop(pool, forge);
});

afterAll(async () => {
  try {
    forge.expectConformingCalls();
  } finally {
    await harness.close();
  }
});

beforeEach(async () => {
  interfere = () => undefined;
  branch = `cart-${randomUUID().slice(0, 8)}`;
  await forge.push(branch, { 'cart.txt': `${branch}\n` });
  number = await forge.openPullRequest(branch);
  enqueued = [];
  warnings = [];
  context = harness.context({
    enqueue: async (queue, key) => {
      enqueued.push(`${queue} ${key}`);
    },
    log: {
      info: () => undefined,
      warn: (_, message) => warnings.push(message),
      error: () => undefined,
    },
  });
});

const look = () => observe(context, observeKey(project.id, `pull/${number}`), new AbortController().signal);

/** Somebody comments; answers what the webhook says of it. */
async function write(user: string, body: string): Promise<ParsedDelivery & { commentId: number }> {
  await forge.comment(number, user, body);
  const commentId = (await forge.comments(number)).at(-1)?.id ?? 0;
  return {
    ...{ kind: 'comment', event: 'issue_comment', action: 'created', deliveryId: randomUUID() },
    ...{ repositoryId: project.repositoryId, owner: 'acme', name: 'shop' },
    ...{ subject: `pull/${number}`, body, user, commentId },
  };
}

async function deliver(parsed: ParsedDelivery, deliveryId: string = parsed.deliveryId): Promise<string> {
  const { event, action, repositoryId } = parsed;
  const { id } = await receiveDelivery(pool, {
    ...{ forge: 'github', deliveryId, event, action, repositoryId },
    subjects: [`pull/${number}`],
    payload: parsed,
  });
  return id;
}

/** Comments, delivers and looks. */
async function say(user: string, body: string): Promise<{ commentId: number; delivery: Delivery }> {
  const parsed = await write(user, body);
  const id = await deliver(parsed);
  expect(await look()).toEqual({ kind: 'done' });
  return { commentId: parsed.commentId, delivery: await delivered(id) };
}

async function delivered(id: string): Promise<Delivery> {
  const found = await findDelivery(pool, id);
  if (found === undefined) throw new Error('the delivery is gone');
  return found;
}

async function environment() {
  const found = await findLastEnvironment(pool, { projectId: project.id, subject: `pull/${number}` });
  if (found === undefined) throw new Error('there is no environment');
  return found;
}

async function requests() {
  const { rows } = await pool.query<{ kind: string; askedBy: string; outcome: string | null }>(
    'select kind, asked_by as "askedBy", outcome from requests where project_id = $1 and subject = $2 order by id',
    [project.id, `pull/${number}`],
  );
  return rows;
}

async function commands() {
  const { rows } = await pool.query<{ verdict: string; reason: string | null; answer: string | null }>(
    'select verdict, reason, answer from commands where project_id = $1 and subject = $2 order by id',
    [project.id, `pull/${number}`],
  );
  return rows;
}

const permissionsAsked = () =>
  forge.sandbox.apiCalls.filter(({ path }) => path.endsWith('/permission')).length;

const SIGNS = ['rocket', '-1', 'confused'];

async function reactions(commentId: number): Promise<string[]> {
  const counts = await forge.reactions(commentId);
  return SIGNS.flatMap((sign) => Array.from({ length: Number(counts[sign]) }, () => sign));
}

test('somebody who may write gets a redeployment, once', async () => {
  await look();
  const before = await environment();
  const { commentId, delivery } = await say('ada', '/bough redeploy\r\n');
  const after = await environment();
  expect(Number(after.generation)).toBe(Number(before.generation) + 1);
  expect(after.desiredCommit).toBe(before.desiredCommit);
  expect(await requests()).toEqual([
    { kind: 'redeploy', askedBy: 'ada', outcome: expect.stringContaining('is to run') },
  ]);
  expect(delivery).toMatchObject({ fate: 'observed', reason: expect.stringContaining('is to run') });
  expect(await reactions(commentId)).toEqual(['rocket']);
  expect(enqueued).toContain(`reconcile ${after.id}`);
  expect(enqueued.at(-1)).toBe(`feedback ${after.id}`);
  await look();
  expect((await environment()).generation).toBe(after.generation);
  expect(await requests()).toHaveLength(1);
});

test.each([
  ['ben', 'ben may read only; commands need write access to acme/shop'],
  ['mallory', 'mallory has no part in the repository; commands need write access to acme/shop'],
])('%s, who may not write, gets a sign and a reason', async (user, reason) => {
  await look();
  const before = await environment();
  for (const word of ['delete', 'redeploy', 'why', 'help', 'sleep']) {
    const { commentId, delivery } = await say(user, `/bough ${word}`);
    expect(await reactions(commentId)).toEqual(['-1']);
    expect(delivery).toMatchObject({
      fate: 'declined',
      reason: `${user} asked for \`/bough ${word}\`: ${reason}`,
    });
  }
  expect(await requests()).toEqual([]);
  expect(await environment()).toMatchObject({ desiredState: 'running', generation: before.generation });
  expect((await commands()).every(({ answer }) => answer === null)).toBe(true);
  // What was declined is told to whoever may ask.
  await say('ada', '/bough why');
  expect((await commands()).at(-1)?.answer).toContain(`\`/bough sleep\`: ${reason}`);
});

test('words without a command ask nobody anything', async () => {
  await look();
  const asked = permissionsAsked();
  const { commentId, delivery } = await say('ada', '> /bough delete\n\nshould we?');
  expect(delivery.fate).toBe('observed');
  expect(await commands()).toEqual([]);
  expect(await reactions(commentId)).toEqual([]);
  expect(permissionsAsked()).toBe(asked);
});

test('a comment makes one request, however often and by whichever webhook it is delivered', async () => {
  await look();
  const parsed = await write('ada', '/bough redeploy');
  const first = await deliver(parsed);
  // A webhook of the repository beside the App's.
  const second = await deliver(parsed, randomUUID());
  await look();
  const { generation } = await environment();
  const third = await deliver(parsed, randomUUID());
  await pool.query(`update deliveries set fate = 'received', settled_at = null where id = $1`, [first]);
  await Promise.all([look(), look()]);
  expect(await requests()).toHaveLength(1);
  expect((await environment()).generation).toBe(generation);
  expect(await reactions(parsed.commentId)).toEqual(['rocket']);
  for (const id of [first, second, third]) expect((await delivered(id)).fate).toBe('observed');
});

test('two looks at once make one request', async () => {
  await look();
  const { generation } = await environment();
  await deliver(await write('ada', '/bough redeploy'));
  await Promise.all(Array.from({ length: 4 }, look));
  expect(await requests()).toHaveLength(1);
  expect(Number((await environment()).generation)).toBe(Number(generation) + 1);
});

test('a crash between the request and the settling of its delivery repeats nothing', async () => {
  await look();
  const { generation } = await environment();
  const parsed = await write('ada', '/bough redeploy');
  const id = await deliver(parsed);
  const healthy = context;
  context = { ...healthy, enqueue: () => Promise.reject(new Error('crash')) };
  await expect(look()).rejects.toThrow('crash');
  expect(await requests()).toEqual([{ kind: 'redeploy', askedBy: 'ada', outcome: null }]);
  expect((await delivered(id)).fate).toBe('received');
  context = healthy;
  await look();
  expect(await requests()).toEqual([{ kind: 'redeploy', askedBy: 'ada', outcome: expect.any(String) }]);
  expect(Number((await environment()).generation)).toBe(Number(generation) + 1);
  expect((await delivered(id)).fate).toBe('observed');
  expect(await reactions(parsed.commentId)).toEqual(['rocket']);
});

test('what is deleted stays away, also when reopened, until somebody asks for it', async () => {
  await look();
  const { delivery } = await say('ada', '/bough delete');
  expect(delivery).toMatchObject({ fate: 'observed', reason: 'ada asked for its deletion' });
  expect((await environment()).desiredState).toBe('absent');
  await forge.push(branch, { 'cart.txt': 'two\n' });
  await look();
  expect((await environment()).desiredState).toBe('absent');
  await forge.closePullRequest(number);
  await look();
  await forge.sandbox.reopenPullRequest({ repo: 'acme/shop', number });
  await look();
  expect((await environment()).desiredState).toBe('absent');
  await say('ada', '/bough redeploy');
  expect((await environment()).desiredState).toBe('running');
  await look();
  expect((await environment()).desiredState).toBe('running');
});

test('a command that comes late does not undo one that was written after it', async () => {
  await look();
  const late = await write('ada', '/bough delete');
  await say('ada', '/bough redeploy');
  const id = await deliver(late);
  await look();
  expect(await delivered(id)).toMatchObject({
    fate: 'declined',
    reason: expect.stringContaining('`/bough redeploy` in a later comment'),
  });
  expect((await environment()).desiredState).toBe('running');
  expect((await requests()).map(({ kind }) => kind)).toEqual(['redeploy']);
});

test('commands that come together are followed in the order in which they were written', async () => {
  await look();
  const first = await write('ada', '/bough delete');
  const second = await write('ada', '/bough redeploy');
  await deliver(second);
  await deliver(first);
  await look();
  expect((await requests()).map(({ kind }) => kind)).toEqual(['delete', 'redeploy']);
  expect((await environment()).desiredState).toBe('running');
});

describe('answers', () => {
  test.each([
    ['/bough approve', 'this pull request needs no approval'],
    ['/bough keep forever', '`/bough keep` cannot be followed with this duration, so nothing was done'],
    ['/bough toString', 'there is no `/bough toString`'],
    ['/bough Redeploy', 'there is no `/bough Redeploy`'],
    ['/bough delete the cache', '`/bough delete` takes nothing behind it, so nothing was done'],
  ])('%s: nothing is done, and it is said what there is', async (body, reason) => {
    await look();
    const { commentId, delivery } = await say('ada', body);
    expect(await reactions(commentId)).toEqual(['confused']);
    expect(delivery).toMatchObject({ fate: 'declined', reason: `ada asked for \`${body}\`: ${reason}` });
    expect(await requests()).toEqual([]);
    expect(await commands()).toEqual([
      {
        verdict: 'unknown',
        reason,
        answer: expect.stringMatching(
          /[.] (?:There are:|Write it alone|Write how long|Its branch is in this)/,
        ),
      },
    ]);
  });

  test('help lists the commands', async () => {
    await look();
    const { commentId } = await say('ada', '/bough help');
    expect(await reactions(commentId)).toEqual(['rocket']);
    const [{ answer } = { answer: '' }] = await commands();
    for (const word of ['redeploy', 'delete', 'why', 'help'])
      expect(answer).toContain(`- \`/bough ${word}\``);
  });

  test('why tells the state and what the look led to', async () => {
    await look();
    const { slug, desiredCommit } = await environment();
    await say('ada', '/bough why');
    const commit = desiredCommit?.slice(0, 7);
    expect(await commands()).toEqual([
      {
        verdict: 'accepted',
        reason: null,
        answer: `The preview is queued to run \`${commit}\`.\nThe pull request was looked at for this answer: ${slug} is at ${commit} already.`,
      },
    ]);
    expect(await requests()).toEqual([]);
  });

  test('why says why there is none', async () => {
    await forge.closePullRequest(number);
    await say('ada', '/bough why');
    expect((await commands())[0]?.answer).toContain(
      'There is no preview.\nThe pull request was looked at for this answer: the pull request is closed',
    );
  });
});

describe('a pull request from a fork', () => {
  beforeEach(async () => {
    number = await forge.openPullRequest(branch, 'stranger');
    await look();
  });

  test('stays held when somebody who may write asks for a deployment', async () => {
    const { commentId } = await say('ada', '/bough redeploy');
    expect(await environment()).toMatchObject({ heldReason: expect.stringContaining('fork') });
    expect((await requests())[0]?.outcome).toContain('held: it comes from a fork');
    expect(await reactions(commentId)).toEqual(['rocket']);
    await say('ada', '/bough delete');
    expect((await environment()).desiredState).toBe('absent');
  });

  test('gives its author no say', async () => {
    const { commentId } = await say('stranger', '/bough redeploy');
    expect(await reactions(commentId)).toEqual(['-1']);
    expect(await requests()).toEqual([]);
  });
});

describe('a forge in trouble', () => {
  const broken = () => Response.json({ message: 'Server Error' }, { status: 503 });

  test('that tells nobody’s permission does not keep a push from being deployed', async () => {
    await look();
    const pushed = await forge.push(branch, { 'cart.txt': 'two\n' });
    const parsed = await write('ada', '/bough delete');
    const id = await deliver(parsed);
    interfere = (_, path) => (path.endsWith('/permission') ? broken() : undefined);
    await expect(look()).rejects.toMatchObject({ code: 'forge-unreachable' });
    expect(await environment()).toMatchObject({ desiredState: 'running', desiredCommit: pushed });
    expect(await commands()).toEqual([]);
    expect((await delivered(id)).fate).toBe('received');
    interfere = () => undefined;
    await look();
    expect((await environment()).desiredState).toBe('absent');
    expect(await reactions(parsed.commentId)).toEqual(['rocket']);
  });

  test('that takes no reaction now gets it later, and nothing is done twice', async () => {
    await look();
    const { generation } = await environment();
    const parsed = await write('ada', '/bough redeploy');
    const id = await deliver(parsed);
    interfere = (_, path) => (path.endsWith('/reactions') ? broken() : undefined);
    await expect(look()).rejects.toMatchObject({ code: 'forge-unreachable' });
    expect((await delivered(id)).fate).toBe('received');
    interfere = () => undefined;
    await look();
    expect(await reactions(parsed.commentId)).toEqual(['rocket']);
    expect(Number((await environment()).generation)).toBe(Number(generation) + 1);
    expect((await delivered(id)).fate).toBe('observed');
  });

  test('that refuses reactions, or lost the comment, changes nothing else', async () => {
    await look();
    interfere = (_, path) =>
      path.endsWith('/reactions') ? Response.json({ message: 'locked' }, { status: 403 }) : undefined;
    expect((await say('ada', '/bough redeploy')).delivery.fate).toBe('observed');
    expect(warnings).toEqual(['the forge refuses a reaction']);
    interfere = () => undefined;
    const parsed = await write('ada', '/bough delete');
    const id = await deliver(parsed);
    await forge.forge.removeComment(forge.repository, String(parsed.commentId));
    await look();
    expect((await delivered(id)).fate).toBe('observed');
    expect((await environment()).desiredState).toBe('absent');
  });

  test('that will not tell a permission means no', async () => {
    await look();
    interfere = (_, path) =>
      path.endsWith('/permission')
        ? Response.json({ message: 'Must have push access' }, { status: 403 })
        : undefined;
    const { delivery } = await say('ada', '/bough delete');
    expect(delivery).toMatchObject({
      fate: 'declined',
      reason: expect.stringContaining('does not tell what ada may do'),
    });
    expect((await environment()).desiredState).toBe('running');
  });
});

test('a flood of commands is worked off look by look', async () => {
  await look();
  const ids: string[] = [];
  for (let index = 0; index < 7; index += 1) ids.push(await deliver(await write('ben', '/bough redeploy')));
  expect(await look()).toEqual({ kind: 'again', delayMs: 0 });
  expect(await commands()).toHaveLength(5);
  expect(await look()).toEqual({ kind: 'done' });
  expect(await commands()).toHaveLength(7);
  for (const id of ids) expect((await delivered(id)).fate).toBe('declined');
});
