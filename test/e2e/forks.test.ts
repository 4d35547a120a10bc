import { randomBytes } from 'node:crypto';
import { waitFor } from '@bough/testkit/wait-for';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connectRepository, openStage, READY_MS, type Repository, type Stage } from './stage.ts';
import { tinyProject } from './tiny-project.ts';

/** A pull request from a fork, from the comment that holds it to its end; and the same code from within, which may more. */

const TEST_MS = 300_000;
const SECRET = `planted-${randomBytes(8).toString('hex')}`;

let stage: Stage;
let tiny: Repository;
let curious: Record<string, string>;

interface Look {
  readonly env: Readonly<Record<string, string>>;
  readonly reached: boolean;
  readonly rows: readonly string[];
}

beforeAll(async () => {
  stage = await openStage();
  const files = await tinyProject({ database: true, clones: true });
  tiny = await connectRepository(stage.forge, [stage], { name: 'tiny', files });
  await stage.forge.setPermission({ repo: tiny.repo, user: 'ada', permission: 'write' });
  await stage.api.send('PUT', '/projects/tiny/variables/API_TOKEN', {
    ...{ value: SECRET, secret: true, build: true, run: true, preview: true },
  });
  // Tells everything that it finds in its surroundings.
  curious = {
    'start.sh': 'echo "my token is $API_TOKEN."\nexec node app.mjs\n',
    'build.sh': 'echo "built with $API_TOKEN."\n',
    'app.mjs': `import { createServer } from 'node:http';
import { connect } from 'node:net';
import { query } from './database.mjs';
const reaches = (port) => new Promise((resolve) => {
  const socket = connect({ host: '127.0.0.1', port, timeout: 2000 });
  for (const [event, answer] of [['connect', true], ['error', false], ['timeout', false]])
    socket.once(event, () => { socket.destroy(); resolve(answer); });
});
createServer(async (request, response) => {
  const rows = (await query('select commit from hook_runs order by id')).map((row) => row.commit);
  response.end(JSON.stringify({ env: process.env, reached: await reaches(${stage.gatewayPort}), rows }));
}).listen(Number(process.env.PORT));
`,
  };
}, TEST_MS);

afterAll(() => stage?.close(), TEST_MS);

async function said(number: number): Promise<string> {
  const comments = await stage.forgeGet<{ body: string }[]>(`/repos/${tiny.repo}/issues/${number}/comments`);
  return comments.map(({ body }) => body).find((body) => body.startsWith('<!-- bough ')) ?? '';
}

const untilSaid = (number: number, words: string) =>
  waitFor(`the comment to say "${words}"`, async () => (await said(number)).includes(words), {
    timeoutMs: READY_MS,
  });

const approve = (number: number, commit: string, user = 'ada') =>
  stage.forge.comment({ repo: tiny.repo, number, user, body: `/bough approve ${commit}` });

async function logsOf(slug: string): Promise<string> {
  const lines: string[] = [];
  for await (const line of stage.api.lines(`/environments/${slug}/logs`)) lines.push(line);
  return lines.join('\n');
}

test(
  'held, approved, run without secrets and data, held again on push, gone when closed',
  async () => {
    const own = await tiny.open('own', curious);
    await stage.forge.fork({ repo: tiny.repo, owner: 'stranger' });
    const push = (files: Record<string, string>) =>
      stage.forge.commit({
        ...{ repo: 'stranger/tiny', branch: 'contribution', files, message: 'Contribute', user: 'stranger' },
      });
    const first = await push(curious);
    const number = await stage.forge.openPullRequest({
      ...{ repo: tiny.repo, head: 'contribution', title: 'Contribute', user: 'stranger', fork: 'stranger' },
    });
    const slug = `pr-${number}--tiny`;

    await untilSaid(number, `/bough approve ${first}`);
    expect(await stage.readEnvironment(slug)).toMatchObject({ phase: 'held', deployment: null });
    expect(await stage.api.get(`/environments/${slug}/workloads`)).toEqual({ workloads: [] });
    await approve(number, first, 'stranger');
    await approve(number, first.slice(0, 12));
    await untilSaid(number, 'needs the whole id of the commit');
    expect(await stage.readEnvironment(slug)).toMatchObject({ phase: 'held', deployment: null });

    await approve(number, first);
    const environment = await stage.untilReady(slug, first);
    expect(environment.data).toMatchObject({ state: 'empty', note: expect.stringContaining('from a fork') });
    const look = await stage.ask<Look>(slug);
    expect(JSON.stringify(look.env)).not.toContain(SECRET);
    expect(look.reached).toBe(false);
    expect(look.rows).toEqual([first]);

    // The same code of somebody who may write gets the secret and the network; its log does not show the secret.
    await stage.untilReady(own.slug, own.commit);
    const trusted = await stage.ask<Look>(own.slug);
    expect(trusted).toMatchObject({ reached: true, env: { API_TOKEN: SECRET } });
    expect(await logsOf(own.slug)).toContain('my token is [redacted].');
    const [mine, theirs] = await stage.query<{ key: string }>(
      `select distinct key from deployment_artifacts where deployment_id = any($1::bigint[])`,
      [[environment.deployment?.id, (await stage.readEnvironment(own.slug))?.deployment?.id]],
    );
    expect(mine?.key).not.toBe(theirs?.key);

    const second = await push({ 'built.txt': 'other\n' });
    await untilSaid(number, `/bough approve ${second}`);
    expect(await stage.readEnvironment(slug)).toMatchObject({ phase: 'held' });
    // What was approved goes on.
    expect((await stage.ask<Look>(slug)).rows).toEqual([first]);

    await stage.forge.closePullRequest({ repo: tiny.repo, number, by: 'ada' });
    await stage.untilRemoved(slug);
    expect((await stage.visit(slug)).status).toBe(404);
    expect(await stage.api.get(`/environments/${slug}/workloads`)).toEqual({ workloads: [] });
    await tiny.close(own.number);
    await stage.untilRemoved(own.slug);
  },
  TEST_MS,
);
