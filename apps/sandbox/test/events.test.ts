import { access, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { validateWebhook } from '@bough/forge/github/schema/validate-answer';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { appClientOf, type Fixture, shop, startFixture, TOKEN } from './fixture.ts';
import { startReceiver } from './receiver.ts';

const SECRET = 'a webhook secret';
let fixture: Fixture;
let receiver: Awaited<ReturnType<typeof startReceiver>>;
let hookId: number;

beforeEach(async () => {
  fixture = await startFixture();
  receiver = await startReceiver(SECRET);
  const config = { url: receiver.url, content_type: 'json', secret: SECRET };
  const hook = await fixture.octokit.repos.createWebhook({ ...shop, config, events: ['*'] });
  hookId = hook.data.id;
  await fixture.forge.settled();
  expect(receiver.names()).toEqual(['ping']);
  expect(validateWebhook('ping', receiver.received[0]?.payload)).toEqual([]);
  receiver.received.length = 0;
});

afterEach(async () => {
  const lies = fixture.forge.apiCalls.filter((call) => call.answerProblems.length > 0);
  await fixture.close();
  await receiver.close();
  expect(receiver.received.filter((one) => !one.validSignature)).toEqual([]);
  expect(lies).toEqual([]);
  expect(fixture.failures).toEqual([]);
});

const open = (more: object = {}) =>
  fixture.forge.openPullRequest({
    repo: 'acme/shop',
    head: 'feature',
    title: 'Better',
    user: 'ann',
    ...more,
  });

/** The names of what arrived since the last call. */
async function arrived(): Promise<string[]> {
  await fixture.forge.settled();
  const names = receiver.names();
  receiver.received.length = 0;
  return names;
}

describe('webhooks', () => {
  test('a pull request from opening to merge, with payloads as GitHub publishes them', async () => {
    const { forge } = fixture;
    const number = await open();
    const at = { repo: 'acme/shop', number };
    await forge.label({ ...at, label: 'preview' });
    await forge.comment({ ...at, user: 'ann', body: '/preview' });
    await forge.commit({ repo: 'acme/shop', branch: 'feature', files: { more: 'x' }, message: 'More' });
    const merged = await forge.mergePullRequest({ ...at, deleteBranch: true });
    await forge.settled();
    const { received } = receiver;
    expect(receiver.names()).toEqual([
      'pull_request.opened',
      'pull_request.labeled',
      'issue_comment.created',
      'push',
      'pull_request.synchronize',
      'pull_request.closed',
      'push',
      'push',
      'delete',
    ]);
    const problems = received.flatMap(({ event, action, payload }) =>
      validateWebhook([event.replaceAll('_', '-'), ...(action ? [action] : [])].join('-'), payload),
    );
    expect(problems).toEqual([]);
    expect(received[5]?.payload).toMatchObject({ pull_request: { merged: true, merge_commit_sha: merged } });
    expect(received[6]?.payload).toMatchObject({ ref: 'refs/heads/main', after: merged, forced: false });
    expect(received[7]?.payload).toMatchObject({ ref: 'refs/heads/feature', deleted: true });
    const { headers } = received[0] ?? {};
    expect(headers?.['user-agent']).toMatch(/^GitHub-Hookshot/);
    expect(headers?.['x-github-hook-id']).toBe(String(hookId));
    expect(new Set(received.map((one) => one.id)).size).toBe(received.length);
  });

  test('close, reopen, draft, ready', async () => {
    const { forge } = fixture;
    const at = { repo: 'acme/shop', number: await open() };
    await forge.closePullRequest(at);
    await forge.reopenPullRequest(at);
    await forge.convertToDraft(at);
    await expect(forge.mergePullRequest(at)).rejects.toThrow('not mergeable');
    await forge.readyForReview(at);
    const words = ['opened', 'closed', 'reopened', 'converted_to_draft', 'ready_for_review'];
    expect(await arrived()).toEqual(words.map((word) => `pull_request.${word}`));
  });

  test('a merge is a real one, and branches that conflict are not mergeable', async () => {
    const { forge, octokit, base, head } = fixture;
    await forge.commit({
      repo: 'acme/shop',
      branch: 'clash',
      files: { 'README.md': 'b\n' },
      message: 'b',
      from: 'main',
    });
    const clash = await open({ head: 'clash' });
    const number = await open();
    const sha = await forge.mergePullRequest({ repo: 'acme/shop', number });
    const { data } = await octokit.repos.getCommit({ ...shop, ref: 'main' });
    expect([data.sha, data.parents.map((parent) => parent.sha)]).toEqual([sha, [base, head]]);
    await forge.commit({ repo: 'acme/shop', branch: 'main', files: { 'README.md': 'c\n' }, message: 'c' });
    const pull = await octokit.pulls.get({ ...shop, pull_number: clash });
    expect(pull.data).toMatchObject({ mergeable: false, mergeable_state: 'dirty' });
    const merge = octokit.pulls.merge({ ...shop, pull_number: clash });
    await expect(merge).rejects.toMatchObject({ status: 405 });
  });

  test('failures are recorded, never repeated, and redelivered under the same id', async () => {
    const { octokit } = fixture;
    receiver.answer.status = 503;
    await open();
    await fixture.forge.settled();
    const id = receiver.received[0]?.id;
    expect(await arrived()).toEqual(['pull_request.opened']);
    const hook = { ...shop, hook_id: hookId };
    const list = await octokit.repos.listWebhookDeliveries(hook);
    const failed = list.data.find((delivery) => delivery.status_code === 503);
    expect(failed).toMatchObject({ guid: id, event: 'pull_request', action: 'opened', redelivery: false });
    receiver.answer.status = 202;
    await octokit.repos.redeliverWebhookDelivery({ ...hook, delivery_id: failed?.id ?? 0 });
    await fixture.forge.settled();
    expect(receiver.received.map((one) => [one.id, one.action])).toEqual([[id, 'opened']]);
    const after = await octokit.repos.listWebhookDeliveries(hook);
    expect(after.data[0]).toMatchObject({ guid: id, redelivery: true, status_code: 202 });
    const whole = await octokit.repos.getWebhookDelivery({ ...hook, delivery_id: after.data[0]?.id ?? 0 });
    expect(whole.data.response.payload).toBe('noted');
    const all = await octokit.paginate(octokit.repos.listWebhookDeliveries, { ...hook, per_page: 1 });
    expect(all.map((one) => one.status_code)).toEqual([202, 503, 202]);
    const failures = await octokit.repos.listWebhookDeliveries({ ...hook, status: 'failure' });
    expect(failures.data.map((one) => one.guid)).toEqual([id]);
  });

  test("the App's webhook gets the installation, and its deliveries can be read", async () => {
    const { forge } = fixture;
    await forge.setAppWebhook({ url: receiver.url, secret: SECRET });
    await open();
    await forge.settled();
    const toApp = receiver.received.filter(
      (one) => one.headers['x-github-hook-installation-target-type'] === 'integration',
    );
    expect(toApp.map((one) => one.action)).toEqual(['opened']);
    expect(toApp[0]?.payload).toMatchObject({ installation: { id: expect.any(Number) } });
    const deliveries = await appClientOf(forge).apps.listWebhookDeliveries();
    expect(deliveries.data.map((delivery) => delivery.guid)).toEqual([toApp[0]?.id]);
  });
});

describe('faults', () => {
  test('dropped, failed and doubled webhooks', async () => {
    const { forge, octokit } = fixture;
    const at = { repo: 'acme/shop', number: await open() };
    await arrived();
    forge.faults.set({ dropEvents: ['pull_request.closed'], times: 1 });
    await forge.closePullRequest(at);
    await forge.reopenPullRequest(at);
    expect(await arrived()).toEqual(['pull_request.reopened']);
    forge.faults.set({ failEvents: ['pull_request'], times: 1 });
    await forge.closePullRequest(at);
    expect(await arrived()).toEqual([]);
    const { data } = await octokit.repos.listWebhookDeliveries({ ...shop, hook_id: hookId });
    expect(data[0]).toMatchObject({ action: 'closed', status_code: 502 });
    forge.faults.set({ duplicateEvents: ['*'], times: 1 });
    await forge.reopenPullRequest(at);
    await forge.settled();
    const [one, two] = receiver.received.map((delivery) => delivery.id);
    expect([receiver.received.length, one]).toEqual([2, two]);
    forge.faults.set({ sameIdEvents: ['pull_request.closed'], times: 1 });
    await forge.closePullRequest(at);
    await forge.settled();
    expect(receiver.received.at(-1)).toMatchObject({ id: two, action: 'closed' });
  });

  test('a slow forge: what is never answered, and what never ends', async () => {
    const { forge } = fixture;
    const number = await open();
    const ask = async (init: RequestInit = {}) => {
      const headers = { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' };
      const url = `${forge.apiUrl}/repos/acme/shop/issues/${number}/comments`;
      return await fetch(url, { ...init, headers, signal: AbortSignal.timeout(1_000) });
    };
    forge.faults.set({ match: 'GET *', hang: true, times: 1 });
    await expect(ask()).rejects.toMatchObject({ name: 'TimeoutError' });
    forge.faults.set({ match: 'POST *', trickle: true, times: 1 });
    const answer = await ask({ method: 'POST', body: '{"body":"x"}' });
    expect(answer.status).toBe(201);
    await expect(answer.text()).rejects.toMatchObject({ name: 'TimeoutError' });
    expect(await (await ask()).json()).toMatchObject([{ body: 'x' }]);
  });

  test('a forge that lies', async () => {
    const { forge, octokit } = fixture;
    const number = await open();
    const list = async (headers = {}) => (await octokit.pulls.list({ ...shop, headers })).data;
    const [before] = await list();
    forge.faults.set({ match: 'GET */pulls', omit: [number], times: 1 });
    expect(await list()).toEqual([]);
    const overlay = { state: 'closed', head: { sha: '0'.repeat(40) } };
    forge.faults.set({ match: 'GET */pulls', overlay, times: 1 });
    const head = { ...before?.head, sha: '0'.repeat(40) };
    expect(await list()).toEqual([{ ...before, state: 'closed', head }]);
    forge.faults.set({ match: 'GET */pulls', unchanged: true, times: 1 });
    await expect(list({ 'if-none-match': '"x"' })).rejects.toMatchObject({ status: 304 });
    forge.faults.set({ match: 'GET */pulls', html: true, times: 1 });
    expect(await list()).toMatch(/Sign in/);
    forge.faults.set({ match: 'POST *', statusAfter: 502, times: 1 });
    const say = octokit.issues.createComment({ ...shop, issue_number: number, body: 'x' });
    await expect(say).rejects.toMatchObject({ status: 502 });
    expect((await octokit.issues.listComments({ ...shop, issue_number: number })).data).toHaveLength(1);
  });

  test('API calls fail as asked, by HTTP too', async () => {
    const { forge, octokit } = fixture;
    const number = await open();
    const post = (path: string, body: object) =>
      fetch(`${forge.url}/_sandbox/${path}`, {
        method: 'POST',
        body: JSON.stringify(body),
        headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
      });
    await post('faults', { match: 'POST /repos/*/issues/*/comments', status: 502, times: 2 });
    const say = () => octokit.issues.createComment({ ...shop, issue_number: number, body: 'x' });
    await expect(say()).rejects.toMatchObject({ status: 502 });
    await expect(say()).rejects.toMatchObject({ status: 502 });
    expect((await say()).status).toBe(201);
    await post('faults', { match: 'GET *', status: 403, retryAfter: 7, times: 1 });
    const limited = octokit.repos.get(shop);
    await expect(limited).rejects.toMatchObject({
      status: 403,
      response: { headers: { 'retry-after': '7' } },
    });
    forge.faults.set({ match: 'POST *', disconnect: 'after', times: 1 });
    await expect(say()).rejects.toBeDefined();
    const comments = await octokit.issues.listComments({ ...shop, issue_number: number });
    expect(comments.data).toHaveLength(2);
    expect((await post('faults', { sttus: 1 })).status).toBe(422);
    expect((await fetch(`${forge.url}/_sandbox/api-calls`)).status).toBe(401);
    const closed = await post('closePullRequest', { repo: 'acme/shop', number });
    expect(closed.status).toBe(200);
  });
});

describe('git over HTTP', () => {
  test('clone, push, and the events of a push', async () => {
    const { git, home, cloneUrl, octokit } = fixture;
    const number = await open();
    await arrived();
    const work = join(home, 'work');
    await git(['clone', '--quiet', cloneUrl('acme/shop'), work]);
    await access(join(work, 'app/index.js'));
    await git(['switch', '--quiet', 'feature'], work);
    await writeFile(join(work, 'pushed.txt'), 'x'.repeat(2_000_000));
    await git(['add', '.'], work);
    await git(['commit', '--quiet', '-m', 'Push'], work);
    await git(['push', '--quiet', 'origin', 'feature', 'feature:refs/heads/other'], work);
    expect(await arrived()).toEqual(['push', 'pull_request.synchronize', 'push', 'create']);
    const sha = await git(['rev-parse', 'HEAD'], work);
    const { data } = await octokit.pulls.get({ ...shop, pull_number: number });
    expect(data.head.sha).toBe(sha);
    await git(['push', '--quiet', 'origin', ':other'], work);
    expect(await arrived()).toEqual(['push', 'delete']);
    const refs = await git(['ls-remote', 'origin', 'refs/pull/*'], work);
    expect(refs).toContain(`${sha}\trefs/pull/1/head`);
    expect(refs).toContain('refs/pull/1/merge');
    await expect(git(['push', 'origin', 'HEAD:refs/pull/1/head'], work)).rejects.toThrow();
  });

  test('a commit by its sha, partial clones, and no push without the token', async () => {
    const { git, home, cloneUrl, head, forge } = fixture;
    const bare = join(home, 'mirror');
    await git(['init', '--quiet', '--bare', bare]);
    await git(['fetch', '--quiet', '--depth=1', cloneUrl('acme/shop'), head], bare);
    expect(await git(['cat-file', '-t', head], bare)).toBe('commit');
    const partial = join(home, 'partial');
    await git(['clone', '--quiet', '--filter=blob:none', '--no-checkout', cloneUrl('acme/shop'), partial]);
    const anonymous = `${forge.url}/acme/shop.git`;
    await expect(git(['push', anonymous, `${head}:refs/heads/x`], bare)).rejects.toThrow();
    await expect(git(['clone', `${forge.url}/acme/none.git`, join(home, 'none')])).rejects.toThrow();
  });

  test("a fork's commits arrive at the base as refs/pull/N/head", async () => {
    const { forge, octokit, git, home, cloneUrl } = fixture;
    const number = await open({ user: 'stranger', fork: 'stranger' });
    const files = { 'evil.js': '1' };
    const sha = await forge.commit({
      repo: 'stranger/shop',
      branch: 'feature',
      files,
      message: 'Fork',
      user: 'stranger',
    });
    const { data } = await octokit.pulls.get({ ...shop, pull_number: number });
    expect(data.head.repo?.id).not.toBe(data.base.repo.id);
    expect(data.head).toMatchObject({ sha, label: 'stranger:feature' });
    expect(await arrived()).toEqual(['pull_request.opened', 'pull_request.synchronize']);
    await git(['init', '--quiet', '--bare', join(home, 'm')]);
    await git(['fetch', '--quiet', cloneUrl('acme/shop'), `refs/pull/${number}/head`], join(home, 'm'));
    await forge.deleteRepository({ repo: 'stranger/shop' });
    const orphan = await octokit.pulls.get({ ...shop, pull_number: number });
    expect(orphan.data.head.repo).toBeNull();
  });
});

describe('pages', () => {
  test('the pull request with its comments, and buttons that only work from the page', async () => {
    const { forge, octokit, head } = fixture;
    const number = await open({ title: '<b>Better</b>' });
    const body = '<!-- marker -->\n**Ready** <script>alert(1)</script>';
    await octokit.issues.createComment({ ...shop, issue_number: number, body });
    await octokit.repos.createCommitStatus({
      ...shop,
      sha: head,
      state: 'success',
      context: 'bough',
      target_url: 'http://x.localhost',
    });
    const address = `${forge.url}/acme/shop/pull/${number}`;
    const page = await (await fetch(address)).text();
    expect(page).toContain('&lt;b&gt;Better&lt;/b&gt;');
    expect(page).toContain('<strong>Ready</strong> &lt;script&gt;');
    expect(page).not.toContain('marker');
    expect(page).toContain('href="http://x.localhost"');
    const press = (origin: string) =>
      fetch(`${forge.url}/_sandbox/forms/mergePullRequest`, {
        method: 'POST',
        redirect: 'manual',
        headers: { origin },
        body: new URLSearchParams({
          repo: 'acme/shop',
          number: String(number),
          deleteBranch: 'true',
          back: '/acme/shop/pull/1',
        }),
      });
    expect((await press('http://evil.example')).status).toBe(403);
    expect((await press(forge.url)).status).toBe(303);
    expect(await (await fetch(address)).text()).toContain('class="pill merged"');
    expect(await (await fetch(forge.url)).text()).toContain('acme/shop');
  });
});
