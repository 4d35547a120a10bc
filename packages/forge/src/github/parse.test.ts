import examples from '@octokit/webhooks-examples/api.github.com/index.json' with { type: 'json' };
import { expect, it } from 'vitest';
import type { ParsedDelivery } from '../forge.ts';
import { ForgeError } from '../forge-error.ts';
import { parse } from './parse.ts';

const deliver = (event: string, payload: unknown): ParsedDelivery =>
  parse(Buffer.from(JSON.stringify(payload)), {
    'x-github-event': event,
    'x-github-delivery': '72d3162e-cc78-11e3-81ab-4c9367dc0958',
  });

const repository = { id: 7, name: 'shop', owner: { login: 'acme' }, default_branch: 'main' };

const flat = examples.flatMap(({ name, examples: list }) => list.map((payload) => ({ name, payload })));

it('has all 58 kinds of events to try', () => {
  expect(examples).toHaveLength(58);
});

it.each(flat.map(({ name, payload }, index) => [`${name} #${index}`, name, payload] as const))(
  'understands or ignores the published example %s',
  (_, name, payload) => {
    const parsed = deliver(name, payload);
    if (parsed.kind === 'ignored') expect(parsed.reason).not.toBe('');
    if (parsed.kind === 'subjects') expect(parsed.subjects.length).toBeGreaterThan(0);
  },
);

it('says the same about the published examples as when they were last looked at', async () => {
  const lines = flat.map(({ name, payload }) => {
    const { kind, action, repositoryId, owner, name: repo, ...rest } = deliver(name, payload);
    const { deliveryId: _, event, ...meaning } = rest;
    const where = repositoryId === null ? '-' : `${owner}/${repo}#${repositoryId}`;
    return `${event}.${action ?? ''} ${where} ${kind} ${JSON.stringify(meaning)}`;
  });
  await expect(`${lines.join('\n')}\n`).toMatchFileSnapshot('parse.examples.txt');
});

it.each([
  'opened',
  'reopened',
  'synchronize',
  'closed',
  'labeled',
  'unlabeled',
  'ready_for_review',
  'converted_to_draft',
  'edited',
  'a word that GitHub may add',
])('looks at a pull request that is %s', (action) => {
  const parsed = deliver('pull_request', { action, number: 7, repository });
  expect(parsed).toMatchObject({
    kind: 'subjects',
    subjects: ['pull/7'],
    repositoryId: 7,
    owner: 'acme',
    name: 'shop',
  });
});

it.each(['assigned', 'review_requested', 'locked', 'milestoned'])(
  'ignores that a pull request is %s',
  (action) => {
    expect(deliver('pull_request', { action, number: 7, repository })).toMatchObject({
      kind: 'ignored',
      reason: expect.stringContaining(action),
    });
  },
);

it('needs nothing of a fork that was deleted', () => {
  const payload = { action: 'closed', number: 7, pull_request: { head: { repo: null } }, repository };
  expect(deliver('pull_request', payload)).toMatchObject({ kind: 'subjects', subjects: ['pull/7'] });
});

it('takes a push to the default branch for production and any other for its branch', () => {
  expect(deliver('push', { ref: 'refs/heads/main', repository })).toMatchObject({ subjects: ['production'] });
  expect(deliver('push', { ref: 'refs/heads/feature/x', repository })).toMatchObject({
    subjects: ['branch/feature/x'],
  });
  expect(deliver('push', { ref: 'refs/tags/v1', repository })).toMatchObject({ kind: 'ignored' });
  expect(deliver('push', { ref: `refs/heads/${'x'.repeat(300)}`, repository })).toMatchObject({
    kind: 'ignored',
  });
});

it('looks at a deleted branch', () => {
  const payload = { ref: 'feature/x', ref_type: 'branch', repository };
  expect(deliver('delete', payload)).toMatchObject({ kind: 'subjects', subjects: ['branch/feature/x'] });
  expect(deliver('delete', { ...payload, ref_type: 'tag' })).toMatchObject({ kind: 'ignored' });
});

it('hears people on pull requests, and nobody else', () => {
  const issue = { number: 7, pull_request: {} };
  const comment = { id: 9, body: '/preview rebuild', user: { login: 'ann', type: 'User' } };
  expect(deliver('issue_comment', { action: 'created', issue, comment, repository })).toMatchObject({
    kind: 'comment',
    subject: 'pull/7',
    body: '/preview rebuild',
    user: 'ann',
    commentId: 9,
  });
  const bot = { ...comment, user: { login: 'bough[bot]', type: 'Bot' } };
  expect(deliver('issue_comment', { action: 'created', issue, comment: bot, repository }).kind).toBe(
    'ignored',
  );
  expect(deliver('issue_comment', { action: 'edited', issue, comment, repository }).kind).toBe('ignored');
  expect(
    deliver('issue_comment', { action: 'created', issue: { number: 7 }, comment, repository }).kind,
  ).toBe('ignored');
  // It may have been ours.
  expect(deliver('issue_comment', { action: 'deleted', issue, comment: bot, repository })).toMatchObject({
    subjects: ['pull/7'],
  });
});

it('hears the button of a check run', () => {
  const check_run = { pull_requests: [{ number: 7 }], check_suite: { head_branch: 'x' } };
  expect(deliver('check_run', { action: 'requested_action', check_run, repository })).toMatchObject({
    subjects: ['pull/7'],
  });
  expect(deliver('check_run', { action: 'completed', check_run, repository }).kind).toBe('ignored');
  // For a fork GitHub names no pull request: what we wrote on the check says which it is.
  const ours = { pull_requests: [], head_sha: 'c'.repeat(40), external_id: 'pull/7' };
  const pressed = {
    action: 'requested_action',
    requested_action: { identifier: 'approve' },
    check_run: ours,
    repository,
  };
  expect(deliver('check_run', { ...pressed, sender: { login: 'ada', type: 'User' } })).toMatchObject({
    ...{ kind: 'action', subject: 'pull/7', user: 'ada', action: 'approve', commit: 'c'.repeat(40) },
  });
  expect(deliver('check_run', { ...pressed, sender: { login: 'x[bot]', type: 'Bot' } }).kind).toBe('ignored');
});

it('follows repositories that an installation gains and loses, and new names', () => {
  const installation = { id: 5 };
  const added = [{ id: 7, full_name: 'acme/shop' }];
  const ref = { id: 7, owner: 'acme', name: 'shop', forgeInstallationId: 5 };
  expect(deliver('installation', { action: 'created', installation, repositories: added })).toMatchObject({
    kind: 'repositories',
    added: [ref],
    removed: [],
  });
  expect(deliver('installation', { action: 'deleted', installation, repositories: added })).toMatchObject({
    added: [],
    removed: [7],
  });
  expect(deliver('installation', { action: 'suspend', installation, repositories: added }).kind).toBe(
    'ignored',
  );
  const changed = { action: 'removed', installation, repositories_added: [], repositories_removed: added };
  expect(deliver('installation_repositories', changed)).toMatchObject({ added: [], removed: [7] });
  expect(deliver('repository', { action: 'renamed', installation, repository })).toMatchObject({
    added: [ref],
  });
  expect(deliver('repository', { action: 'transferred', repository })).toMatchObject({
    added: [{ id: 7, owner: 'acme', name: 'shop' }],
  });
  expect(deliver('repository', { action: 'deleted', repository })).toMatchObject({ added: [], removed: [7] });
});

function malformed(work: () => unknown): ForgeError {
  try {
    work();
  } catch (error) {
    if (error instanceof ForgeError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

it('says what is wrong with a body that is not the event', () => {
  const headers = { 'x-github-event': 'pull_request', 'x-github-delivery': 'abc' };
  const noNumber = malformed(() => deliver('pull_request', { action: 'opened', repository }));
  expect(noNumber.code).toBe('webhook-malformed');
  expect(noNumber.message).toContain('number');
  expect(malformed(() => parse(Buffer.from('{'), headers)).code).toBe('webhook-malformed');
  expect(malformed(() => parse(Buffer.from('[]'), headers)).code).toBe('webhook-malformed');
  expect(malformed(() => parse(Buffer.from('null'), headers)).code).toBe('webhook-malformed');
  expect(malformed(() => parse(Buffer.from('{}'), { 'x-github-event': 'push' })).message).toContain(
    'x-github-delivery',
  );
  const form = { ...headers, 'content-type': 'application/x-www-form-urlencoded' };
  expect(malformed(() => parse(Buffer.from('payload=%7B%7D'), form)).hint).toContain('application/json');
});
