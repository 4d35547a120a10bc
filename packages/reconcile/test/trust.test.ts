import { randomUUID } from 'node:crypto';
import type { CheckReport, ParsedDelivery, PullRequest } from '@bough/forge/forge';
import { findDelivery, receiveDelivery } from '@bough/store/deliveries';
import { findLastEnvironment } from '@bough/store/environments';
import { listEvents } from '@bough/store/events';
import { readHeldReview } from '@bough/store/held-reviews';
import type { Project } from '@bough/store/projects';
import type pg from 'pg';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { SandboxFixture } from '../../forge/test/sandbox-fixture.ts';
import { type ObserveContext, observe, observeKey } from '../src/observe.ts';
import { insertShop } from './insert-shop.ts';
import { type ObserveHarness, openObserveHarness } from './observe-harness.ts';

/** Forks as observe sees them: real Postgres, git, the GitHub driver, and the sandbox forge at its other end. */

const MANIFEST = 'applications:\n  shop:\n    type: "nodejs:22"\n';

let harness: ObserveHarness;
let pool: pg.Pool;
let forge: SandboxFixture;
let project: Project;
let context: ObserveContext;
let enqueued: string[];
let number: number;
let branch: string;

beforeAll(async () => {
  harness = await openObserveHarness('trust', 'app');
  ({ pool, forge } = harness);
  await forge.setPermission('ada', 'write');
  await forge.setPermission('ben', 'read');
  project = await insertShop(pool, forge);
  context = harness.context({
    enqueue: async (queue, key) => {
      enqueued.push(`${queue} ${key}`);
    },
  });
});

afterAll(() => harness.close());

beforeEach(async () => {
  enqueued = [];
  await policy('');
  branch = `cart-${randomUUID().slice(0, 8)}`;
  await forge.push(branch, { 'cart.txt': `${branch}\n` });
  number = await forge.openPullRequest(branch, 'mallory');
});

const policy = (previews: string) => forge.push('main', { '.bough/config.yaml': `${MANIFEST}${previews}` });
const push = (files: Record<string, string>) =>
  forge.sandbox.commit({ repo: 'mallory/shop', branch, files, message: 'More', user: 'mallory' });
const look = (subject = `pull/${number}`) =>
  observe(context, observeKey(project.id, subject), new AbortController().signal);

async function row() {
  const found = await findLastEnvironment(pool, { projectId: project.id, subject: `pull/${number}` });
  if (found === undefined) throw new Error('there is no environment');
  return found;
}

async function head(): Promise<string> {
  const pull = (await forge.forge.readPullRequest(forge.repository, number)) as PullRequest;
  return pull.head.commit;
}

async function deliver(parsed: ParsedDelivery): Promise<string> {
  const { id } = await receiveDelivery(pool, {
    ...{ forge: 'github', deliveryId: parsed.deliveryId, event: parsed.event, action: parsed.action },
    ...{ repositoryId: project.repositoryId, subjects: [`pull/${number}`], payload: parsed },
  });
  return id;
}

const envelope = () => ({
  deliveryId: randomUUID(),
  repositoryId: project.repositoryId,
  owner: 'acme',
  name: 'shop',
});

/** Comments, delivers and looks; answers what Bough would say. */
async function say(user: string, body: string): Promise<{ answer: string | null; sign: string | undefined }> {
  await forge.comment(number, user, body);
  const commentId = (await forge.comments(number)).at(-1)?.id ?? 0;
  await deliver({
    ...{ ...envelope(), kind: 'comment', event: 'issue_comment', action: 'created' },
    ...{ subject: `pull/${number}`, body, user, commentId },
  });
  await look();
  const { rows } = await pool.query<{ answer: string | null }>(
    'select coalesce(c.answer, r.outcome) as answer from commands c left join requests r on r.id = c.request_id where comment_id = $1',
    [commentId],
  );
  const signs = await forge.reactions(commentId);
  return {
    answer: rows[0]?.answer ?? null,
    sign: ['rocket', '-1', 'confused'].find((name) => signs[name] === 1),
  };
}

test('a fork is held, and the words say who can let exactly this commit run', async () => {
  await look();
  const held = await row();
  expect(held).toMatchObject({
    trust: 'untrusted',
    facts: { approvable: true },
    desiredCommit: await head(),
  });
  expect(held.heldReason).toContain(`\`/bough approve ${await head()}\``);
  expect(held.heldReason).not.toContain('.bough/config.yaml');
});

test('it is let in by whoever may write, held again when it is pushed to, and let in again', async () => {
  await look();
  const first = await head();
  expect(await say('ada', `/bough approve ${first}`)).toMatchObject({
    sign: 'rocket',
    answer: expect.stringMatching(/may run, without secrets, data and network/),
  });
  expect(await row()).toMatchObject({ heldReason: null, trust: 'untrusted', desiredCommit: first });
  const [event] = (await listEvents(pool, { projectId: project.id })).filter(
    ({ kind }) => kind === 'pull.approved',
  );
  expect(event).toMatchObject({ actor: 'ada', detail: { commit: first, subject: `pull/${number}` } });

  const second = await push({ '.bough/config.yaml': `${MANIFEST}    variables: { env: { A: b } }\n` });
  await look();
  expect(await row()).toMatchObject({ desiredCommit: second, heldReason: expect.stringContaining(second) });
  expect((await row()).heldReason).toContain('Look at `.bough/config.yaml` too');
  const shown = await readHeldReview(pool, (await row()).id);
  expect(shown?.diff).toContain('+    variables: { env: { A: b } }');
  expect(shown).toMatchObject({ problem: null, network: 'public', runs: { services: [] } });
  expect(await say('ada', `/bough approve ${first}`)).toMatchObject({
    sign: 'confused',
    answer: expect.stringContaining(`comment \`/bough approve ${second}\``),
  });
  expect((await row()).heldReason).not.toBeNull();
  await say('ada', `/bough approve ${second.toUpperCase()}`);
  expect((await row()).heldReason).toBeNull();
  expect(await readHeldReview(pool, (await row()).id)).toBeNull();
});

test('who may only read lets nothing in', async () => {
  const { sign } = await say('ben', `/bough approve ${await head()}`);
  expect(sign).toBe('-1');
  expect((await row()).heldReason).not.toBeNull();
});

test('the button of the check does the same, and asks the forge who pressed it', async () => {
  await look();
  const commit = await head();
  const check: CheckReport = {
    ...{
      name: 'bough / preview',
      commit,
      subject: `pull/${number}`,
      state: 'action_required',
      title: 'Held',
      summary: '',
    },
    ...{ detailsUrl: 'http://localhost:3000/x', annotations: [] },
    actions: [{ label: 'Approve this commit', description: 'Run it', identifier: 'approve' }],
  };
  const { externalId } = await forge.forge.publishCheck(forge.repository, check);
  const from = forge.sandbox.apiCalls.length;
  const press = async (user: string) => {
    await forge.sandbox.requestCheckAction({
      repo: 'acme/shop',
      checkRun: Number(externalId),
      identifier: 'approve',
      user,
    });
    const parsed: ParsedDelivery = {
      ...{ ...envelope(), kind: 'action', event: 'check_run', action: 'approve' },
      ...{ subject: `pull/${number}`, user, commit },
    };
    const id = await deliver(parsed);
    await look();
    return await findDelivery(pool, id);
  };
  expect(await press('mallory')).toMatchObject({
    fate: 'declined',
    reason: expect.stringContaining('no part in'),
  });
  expect((await row()).heldReason).not.toBeNull();
  await press('ada');
  expect((await row()).heldReason).toBeNull();
  // There is no comment to sign; what came of it is said where the preview is reported.
  expect(forge.sandbox.apiCalls.slice(from).filter(({ method }) => method !== 'GET')).toEqual([]);
});

test('an approval ends: nothing new starts with it, and what runs goes on', async () => {
  await policy('previews: { forks: { approval_expires: 1h } }\n');
  await look();
  await say('ada', `/bough approve ${await head()}`);
  expect((await row()).heldReason).toBeNull();
  await pool.query(`update approvals set expires_at = now() - interval '1 minute' where subject = $1`, [
    `pull/${number}`,
  ]);
  await look();
  expect((await row()).heldReason).toBeNull();
  await say('ada', '/bough redeploy');
  expect((await row()).heldReason).toContain('has expired');
});

test('another policy of the default branch holds it again, without anybody pushing to it', async () => {
  await look();
  await say('ada', `/bough approve ${await head()}`);
  await forge.push('main', { 'README.md': `${randomUUID()}\n` });
  await look();
  expect((await row()).heldReason).toBeNull();
  await policy('previews: { access: basic }\n');
  enqueued = [];
  await look('production');
  expect(enqueued).toContain(`observe ${observeKey(project.id, `pull/${number}`)}`);
  await look();
  expect((await row()).heldReason).toContain(
    'the policy of the default branch has changed since ada approved',
  );
});

test('a policy that declines forks lets nobody approve, and ends what runs', async () => {
  await look();
  await say('ada', `/bough approve ${await head()}`);
  await pool.query('update environments set release_deployment_id = 1 where subject = $1', [
    `pull/${number}`,
  ]);
  await policy('previews: { forks: { mode: decline } }\n');
  await look();
  expect(await row()).toMatchObject({ desiredState: 'absent' });
  await forge.push(`x-${branch}`, { 'cart.txt': 'x\n' });
  number = await forge.openPullRequest(`x-${branch}`, 'mallory');
  await look();
  const { facts, heldReason } = await row();
  expect(heldReason).toContain('`previews.forks.mode`');
  expect(facts.approvable).toBeUndefined();
  await say('ada', `/bough approve ${await head()}`);
  expect((await row()).heldReason).not.toBeNull();
});

test('a branch of the repository itself is trusted and needs no approval', async () => {
  branch = `own-${randomUUID().slice(0, 8)}`;
  await forge.push(branch, { 'own.txt': 'x\n' });
  number = await forge.openPullRequest(branch);
  await look();
  expect(await row()).toMatchObject({ trust: 'trusted', heldReason: null });
  expect(await say('ada', `/bough approve ${await head()}`)).toMatchObject({
    answer: expect.stringContaining('needs no approval'),
    sign: 'confused',
  });
});

/** In the repository itself, so whoever pushed it may write; proposed by somebody else. */
async function proposeOwnBranch(user: string): Promise<void> {
  branch = `own-${randomUUID().slice(0, 8)}`;
  await forge.push(branch, { 'own.txt': `${branch}\n` });
  number = await forge.sandbox.openPullRequest({ repo: 'acme/shop', head: branch, title: 'Own', user });
}

test('who may only read is held although the branch is here', async () => {
  const user = 'ben';
  await proposeOwnBranch(user);
  await look();
  const held = await row();
  expect(held).toMatchObject({ trust: 'untrusted', facts: { approvable: true } });
  expect(held.heldReason).toContain(`its author ${user} may not write to this repository`);
  expect(held.heldReason).toContain(`\`/bough approve ${await head()}\``);
  expect((await say(user, `/bough approve ${await head()}`)).sign).toBe('-1');
  expect((await say('ada', `/bough approve ${await head()}`)).sign).toBe('rocket');
  expect(await row()).toMatchObject({ heldReason: null, trust: 'untrusted' });
  await forge.push(branch, { 'own.txt': 'more\n' });
  await look();
  expect((await row()).heldReason).toContain(await head());
});

test('an author who is given write access is let in at the next look', async () => {
  await proposeOwnBranch('cleo');
  await look();
  expect((await row()).heldReason).not.toBeNull();
  await forge.setPermission('cleo', 'write');
  await look();
  expect(await row()).toMatchObject({ heldReason: null, trust: 'trusted' });
});

test('bots are held like forks, unless the default branch trusts them', async () => {
  await proposeOwnBranch('renovate[bot]');
  await look();
  expect((await row()).heldReason).toContain('renovate[bot] is a bot that `previews.trusted_bots`');
  await policy('previews: { trusted_bots: [renovate] }\n');
  await look();
  expect(await row()).toMatchObject({ heldReason: null, trust: 'trusted' });
  // Its own branch cannot say so.
  await proposeOwnBranch('weblate[bot]');
  await forge.push(branch, { '.bough/config.yaml': `${MANIFEST}previews: { trusted_bots: [weblate] }\n` });
  await look();
  expect((await row()).heldReason).toContain('weblate[bot] is a bot');
});

test('where the forge may not tell, it is held and asked again', async () => {
  await proposeOwnBranch('dora');
  forge.sandbox.faults.set({ match: 'GET /repos/*/collaborators/*/permission', status: 403 });
  try {
    expect(await look()).toMatchObject({ kind: 'again' });
  } finally {
    forge.sandbox.faults.clear();
  }
  expect((await row()).heldReason).toContain('the forge does not tell whether its author dora may write');
});
