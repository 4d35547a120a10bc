import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { WhyView } from '@bough/cli/verbs/views';
import { get } from '@bough/reconcile/probe';
import { waitFor } from '@bough/testkit/wait-for';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connectRepository, openStage, type Repository, type Stage } from './stage.ts';
import { manifest, tinyProject } from './tiny-project.ts';

/** Commands in comments, from the comment on the forge to the preview and back to the one comment of Bough. */

const TEST_MS = 180_000;
const LOOK = { timeoutMs: 60_000, intervalMs: 100 };

let stage: Stage;
let tiny: Repository;

beforeAll(async () => {
  stage = await openStage();
  tiny = await connectRepository(stage.forge, [stage], { name: 'tiny', files: await tinyProject() });
  await stage.forge.setPermission({ repo: tiny.repo, user: 'ada', permission: 'write' });
  await stage.forge.setPermission({ repo: tiny.repo, user: 'ben', permission: 'read' });
}, TEST_MS);

afterAll(() => stage?.close(), TEST_MS);

interface Comment {
  readonly body: string;
  readonly user: { readonly login: string };
  readonly reactions: Readonly<Record<string, unknown>>;
}

const comments = (number: number) =>
  stage.forgeGet<Comment[]>(`/repos/${tiny.repo}/issues/${number}/comments?per_page=100`);
const deploymentsOf = async (slug: string) =>
  ((await stage.api.get(`/environments/${slug}/deployments`)) as { deployments: unknown[] }).deployments;

/** A comment by somebody, and the one sign that it gets. */
async function sayOn(number: number, user: string, body: string, sign: string): Promise<void> {
  await stage.forge.comment({ repo: tiny.repo, number, user, body });
  await waitFor(
    `"${body}" of ${user} to have the sign ${sign}`,
    async () => {
      const theirs = (await comments(number)).filter((comment) => comment.body === body);
      return theirs.at(-1)?.reactions[sign] === 1;
    },
    LOOK,
  );
}

/** There is one comment of Bough, whatever is asked. */
function untilSaidOn(number: number, words: string): Promise<true> {
  return waitFor(
    `the comment to say "${words}"`,
    async () => {
      const ours = (await comments(number)).filter(({ body }) => body.startsWith('<!-- bough '));
      expect(ours.length).toBe(1);
      expect(ours[0]?.body).toContain(words);
      return true as const;
    },
    LOOK,
  );
}

test(
  'redeploy, why, delete, and back again',
  async () => {
    const { number, slug, commit } = await tiny.open('cart');
    await stage.untilReady(slug, commit);
    const first = (await stage.ask<{ deployment: string }>(slug)).deployment;
    const say = (user: string, body: string, sign: string) => sayOn(number, user, body, sign);
    const untilSaid = (words: string) => untilSaidOn(number, words);

    await say('ben', '/bough delete', '-1');
    const why = WhyView.parse(await stage.api.get(`/environments/${slug}/why`));
    expect(why.deliveries).toContainEqual(
      expect.objectContaining({ fate: 'declined', reason: expect.stringContaining('ben may read only') }),
    );
    expect((await stage.ask<{ deployment: string }>(slug)).deployment).toBe(first);

    await say('ada', '/bough redeploy', 'rocket');
    await stage.untilEnvironment(
      slug,
      (row) => row.phase === 'ready' && row.deployment !== null && row.deployment.id !== first,
    );
    expect((await stage.ask<{ deployment: string }>(slug)).deployment).not.toBe(first);
    expect(await deploymentsOf(slug)).toHaveLength(2);
    await untilSaid('**ada** asked for `/bough redeploy`');

    await say('ada', '/bough why', 'rocket');
    await untilSaid(`The preview runs \`${commit.slice(0, 7)}\`.`);
    await say('ada', '/bough approve', 'confused');
    await untilSaid('This pull request needs no approval');

    await say('ada', '/bough delete', 'rocket');
    await stage.untilRemoved(slug);
    await untilSaid('Comment `/bough deploy` to get a new one.');
    await say('ada', '/bough redeploy', 'rocket');
    await stage.untilReady(slug, commit);
    await untilSaid('Preview is ready');
    expect((await comments(number)).length).toBe(7);
  },
  TEST_MS,
);

/** What Bough writes about comments from now on. The test's own come another way. */
function countWrites() {
  const from = stage.forge.apiCalls.length;
  const comment = `/repos/${tiny.repo}/issues/comments/`;
  return () => {
    const calls = stage.forge.apiCalls.slice(from).map(({ method, path }) => `${method} ${path}`);
    return {
      comments: calls.filter((call) => /^POST .*\/issues\/\d+\/comments$/.test(call)).length,
      edits: calls.filter((call) => call.startsWith(`PATCH ${comment}`)).length,
      signs: calls.filter((call) => call.startsWith(`POST ${comment}`)).length,
    };
  };
}

test(
  'each command gets one sign, its answer is one edit, and nothing is a new comment',
  async () => {
    const { number, slug, commit } = await tiny.open('each');
    await stage.untilReady(slug, commit);
    await untilSaidOn(number, 'Preview is ready');
    // The last words about the deployment are said with this answer at the latest.
    await sayOn(number, 'ada', '/bough help', 'rocket');
    await untilSaidOn(number, '**ada** asked for `/bough help`');
    const written = countWrites();
    const answered = [
      ['/bough why', 'rocket'],
      ['/bough keep 2d', 'rocket'],
      ['/bough wake', 'rocket'],
      ['/bough approve', 'confused'],
      ['/bough Deploy', 'confused'],
      ['/bough delete it', 'confused'],
    ] as const;
    for (const [index, [body, sign]] of answered.entries()) {
      await sayOn(number, 'ada', body, sign);
      await untilSaidOn(number, `**ada** asked for \`${body}\``);
      expect(written(), body).toEqual({ comments: 0, edits: index + 1, signs: index + 1 });
    }
    const changing = ['deploy', 'rebuild', 'sync', 'reset', 'sleep', 'redeploy'];
    for (const word of changing) await sayOn(number, 'ada', `/bough ${word}`, 'rocket');
    await sayOn(number, 'ben', '/bough sleep', '-1');
    await stage.untilReady(slug, commit);
    await untilSaidOn(number, '**ada** asked for `/bough redeploy`');
    await untilSaidOn(number, 'Preview is ready');
    const signs = answered.length + changing.length + 1;
    expect(written()).toMatchObject({ comments: 0, signs });
    const theirs = (await comments(number)).filter(({ body }) => body.startsWith('/bough'));
    expect(theirs).toHaveLength(signs + 1);
    for (const { body, reactions } of theirs) expect(reactions, body).toMatchObject({ total_count: 1 });
    await tiny.close(number);
    await stage.untilRemoved(slug);
  },
  TEST_MS,
);

const bin = fileURLToPath(new URL('../../apps/cli/bin/bough.js', import.meta.url));

/** What the program prints for scripts. */
async function bough<Answer>(...args: string[]): Promise<Answer> {
  const { stdout } = await promisify(execFile)(process.execPath, [bin, ...args, '--json'], {
    env: { PATH: process.env.PATH, BOUGH_HOME: stage.home, BOUGH_URL: stage.serverUrl },
    timeout: 60_000,
  });
  return JSON.parse(stdout) as Answer;
}

test(
  'a signed link of `bough env url` opens a closed preview until it expires or is revoked',
  async () => {
    const closed = manifest().replace('access: open', 'access: link');
    await tiny.push('main', { '.bough/config.yaml': closed }, 'Close previews');
    const { slug, commit } = await tiny.open('closed');
    await stage.untilReady(slug, commit);
    /** As a browser with this cookie; answers status, place to go and the cookie that is given. */
    const visit = async (url: string, cookie?: string) => {
      const { pathname, search, host } = new URL(url);
      const { status, headers } = await get({
        ...{ host: '127.0.0.1', port: stage.gatewayPort, path: pathname + search },
        headers: { host, ...(cookie === undefined ? {} : { cookie }) },
        ...{ timeoutMs: 15_000, signal: AbortSignal.timeout(20_000) },
      });
      const given = [headers['set-cookie'] ?? []].flat()[0]?.split(';')[0];
      return { status, cause: headers['x-bough-cause'], cookie: given };
    };
    const bare = `http://${slug}.localhost:${stage.gatewayPort}/`;
    expect(await visit(bare)).toMatchObject({ status: 403, cause: 'link-required' });

    const made = await bough<{ url: string; expiresAt: string }>('env', 'url', slug, '--expires', '1h');
    expect(new Date(made.expiresAt).getTime()).toBeGreaterThan(Date.now());
    const entered = await visit(made.url);
    expect(entered).toMatchObject({ status: 302, cookie: expect.stringContaining('bough-access=') });
    expect((await visit(bare, entered.cookie)).status).toBe(200);

    const short = await bough<{ url: string }>('env', 'url', slug, '--expires', '1s');
    await waitFor('the link to expire', async () => (await visit(short.url)).cause === 'link-expired', LOOK);
    expect((await visit(bare, entered.cookie)).status).toBe(200);

    expect(await bough('env', 'url', slug, '--revoke')).toEqual({ revoked: true });
    await waitFor('the link to be void', async () => (await visit(made.url)).status === 403, LOOK);
    expect(await visit(bare, entered.cookie)).toMatchObject({ status: 403, cause: 'link-required' });
  },
  TEST_MS,
);
