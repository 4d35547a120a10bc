import { afterAll, beforeAll, expect, it } from 'vitest';
import { type SandboxFixture, startSandboxFixture, TOKEN } from './sandbox-fixture.ts';

let fixture: SandboxFixture;
const pulls: number[] = [];

/** Pages of two, so that five pull requests fill three. */
const smallPages: typeof fetch = (input, init) => {
  const url = new URL(String(input));
  if (url.searchParams.get('per_page') === '100') url.searchParams.set('per_page', '2');
  return fetch(url, init);
};

beforeAll(async () => {
  fixture = await startSandboxFixture('token', { fetch: smallPages });
  for (let index = 0; index < 5; index += 1) {
    await fixture.push(`b${index}`, { [`${index}.txt`]: 'x\n' });
    pulls.push(await fixture.openPullRequest(`b${index}`));
  }
});
afterAll(() => fixture?.close());

it('lists every page, and gives no etag that would vouch for the first alone', async () => {
  const listed = await fixture.forge.listOpen(fixture.repository);
  if (listed === 'unchanged') throw new Error('unchanged since never');
  expect(listed.pulls.map(({ number }) => number)).toEqual(pulls);
  expect(listed.etag).toBeUndefined();
});

it('throws when a later page fails, instead of giving what it has', async () => {
  fixture.sandbox.apiCalls.length = 0;
  fixture.sandbox.faults.set({ match: 'GET *pulls', delayMs: 0, times: 2 });
  fixture.sandbox.faults.set({ match: 'GET *pulls', status: 500 });
  await expect(fixture.forge.listOpen(fixture.repository)).rejects.toMatchObject({
    code: 'forge-unreachable',
  });
  const answered = fixture.sandbox.apiCalls.filter((call) => call.status === 200).length;
  expect(answered).toBe(2);
  fixture.sandbox.faults.clear();
});

it('finds its comment on a later page, and removes doubles', async () => {
  const [number = 0] = pulls;
  const marker = '<!-- bough paged -->';
  for (let index = 0; index < 5; index += 1) await fixture.comment(number, 'ann', `talk ${index}`);
  // Written by our own account, as two workers that did not know of each other would.
  await fixture.comment(number, 'sandbox', `one ${marker}`);
  await fixture.comment(number, 'sandbox', `two ${marker}`);
  const published = await fixture.forge.publishComment(fixture.repository, {
    number,
    body: `three ${marker}`,
    marker,
  });
  expect(published.outcome).toBe('updated');
  const reply = await fetch(
    `${fixture.sandbox.apiUrl}/repos/acme/shop/issues/${number}/comments?per_page=100`,
    {
      headers: { authorization: `token ${TOKEN}` },
    },
  );
  const bodies = ((await reply.json()) as { body: string }[]).map(({ body }) => body);
  expect(bodies.filter((body) => body.includes(marker))).toEqual([`three ${marker}`]);
  expect(bodies).toHaveLength(6);
});

it('reads failed deliveries over several pages', async () => {
  const hook = { url: 'http://127.0.0.1:9/webhooks/github', secret: 's' };
  const { externalId: webhookId } = await fixture.forge.ensureWebhook(fixture.repository, hook);
  for (let index = 0; index < 3; index += 1) await fixture.push('b0', { '0.txt': `${index}\n` });
  await fixture.sandbox.settled();
  const failed = await fixture.forge.failedDeliveries(fixture.repository, { since: new Date(0), webhookId });
  expect(failed.filter(({ event }) => event === 'push')).toHaveLength(3);
  const times = failed.map(({ deliveredAt }) => deliveredAt.getTime());
  expect(times).toEqual([...times].sort((a, b) => a - b));
});

it('leaves another pull request’s deployment active', async () => {
  const report = {
    environment: 'preview',
    production: false,
    description: 'x',
    logUrl: 'http://localhost:3000/1',
    environmentUrl: 'http://pr.localhost:8080',
    state: 'success' as const,
  };
  const heads = await Promise.all(
    ['b1', 'b2'].map((branch) => fixture.forge.readBranch(fixture.repository, branch)),
  );
  const ids: string[] = [];
  for (const head of heads) {
    if (head === 'gone') throw new Error('gone');
    const published = await fixture.forge.publishDeployment(fixture.repository, {
      ...report,
      commit: head.commit,
    });
    ids.push(published.externalId);
  }
  const stateOf = async (id: string | undefined) => {
    const url = `${fixture.sandbox.apiUrl}/repos/acme/shop/deployments/${id}/statuses`;
    const reply = await fetch(url, { headers: { authorization: `token ${TOKEN}` } });
    return ((await reply.json()) as { state: string }[])[0]?.state;
  };
  expect(await stateOf(ids[0])).toBe('success');
  expect(await stateOf(ids[1])).toBe('success');
  const [head] = heads;
  if (head === undefined || head === 'gone') throw new Error('gone');
  const inactive = { ...report, commit: head.commit, state: 'inactive' as const, externalId: ids[0] ?? '' };
  await fixture.forge.publishDeployment(fixture.repository, inactive);
  expect(await stateOf(ids[0])).toBe('inactive');
  expect(await stateOf(ids[1])).toBe('success');
  // The sandbox, like GitHub, spares transient deployments in any case; production's are not transient.
  const sent = fixture.sandbox.apiCalls.filter(
    ({ method, path }) => method === 'POST' && /deployments/.test(path),
  );
  expect(sent.filter(({ path }) => path.endsWith('/statuses'))).toHaveLength(3);
  for (const { path, body } of sent) {
    expect(body).toMatchObject(
      path.endsWith('/statuses')
        ? { auto_inactive: false, log_url: report.logUrl }
        : { auto_merge: false, required_contexts: [], transient_environment: true, environment: 'preview' },
    );
  }
  fixture.expectConformingCalls();
});
