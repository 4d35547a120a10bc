import { createHmac, randomBytes, randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, stat } from 'node:fs/promises';
import { request } from 'node:http';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { WhyView } from '@bough/cli/verbs/views';
import { assertNothingLeft } from '@bough/testkit/leaks';
import { createTempHome } from '@bough/testkit/temp-home';
import { waitFor } from '@bough/testkit/wait-for';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { boughCommand } from './fixtures/bough-command.ts';
import { makeSmallDisk, type SmallDisk } from './fixtures/small-disk.ts';
import { type Watch, watch } from './fixtures/watch.ts';
import {
  connectRepository,
  openForge,
  openStage,
  type PullRequest,
  READY_MS,
  type Repository,
  type Stage,
  type StageForge,
} from './stage.ts';
import { manifest, tinyProject } from './tiny-project.ts';

/**
 * Whatever goes wrong is said where the user looks, and nobody else notices: a healthy preview of each project answers
 * from one and the same deployment all the time.
 */

const LISTEN_SECONDS = 4;
const FEEDBACK_MS = 60_000;
const TEST_MS = 180_000;
const webhookSecret = randomBytes(24).toString('hex');
const buildSecret = `s3cret-${randomBytes(12).toString('hex')}`;

let disk: SmallDisk | undefined;
let shared: StageForge;
let stage: Stage;
/** No data; most things go wrong here. */
let tiny: Repository;
const watches: Watch[] = [];

beforeAll(async () => {
  disk = await makeSmallDisk(1_000);
  shared = await openForge();
  stage = await openStage({
    forge: shared,
    volumes: disk?.path,
    environment: {
      GITHUB_WEBHOOK_SECRET: webhookSecret,
      // Watching many previews is what this file's time goes to.
      BOUGH_RESYNC_SECONDS: '5',
      // What a full disk does to what runs on it is looked at here, so nothing may be kept waiting for it.
      BOUGH_DISK_RESERVE_MIB: '0',
      BOUGH_LISTEN_TIMEOUT_SECONDS: String(LISTEN_SECONDS),
    },
  });
  tiny = await connectRepository(shared.forge, [stage], { name: 'tiny', files: await tinyProject() });
  const set = ['secret', 'set', 'tiny', 'BUILD_TOKEN', '--build', '--for', 'preview'];
  expect(await boughCommand(stage.home, set, { input: `${buildSecret}\n` })).toMatchObject({ exitCode: 0 });
  await openHealthy(tiny);
}, TEST_MS);

afterEach(async () => {
  for (const each of watches) await each.expectUndisturbed();
});

afterAll(async () => {
  await Promise.all(watches.map((each) => each.stop()));
  await stage?.close();
  await shared?.close();
  await disk?.remove();
}, TEST_MS);

/** A preview that nothing is to happen to. */
async function openHealthy(repository: Repository): Promise<PullRequest> {
  const pull = await repository.open('healthy');
  await watchReady(pull, pull.commit);
  return pull;
}

async function watchReady(pull: Pick<PullRequest, 'slug'>, commit: string): Promise<Watch> {
  await stage.untilReady(pull.slug, commit);
  const { deployment } = await stage.ask<{ deployment: string }>(pull.slug);
  const started = watch(stage, pull.slug, deployment);
  watches.push(started);
  return started;
}

async function endWatch(ended: Watch): Promise<void> {
  await ended.expectUndisturbed();
  watches.splice(watches.indexOf(ended), 1);
  await ended.stop();
}

/** Waits until this commit has failed for good, and returns what the user is told. */
async function untilFailed(repository: Repository, pull: PullRequest, commit = pull.commit) {
  const environment = await stage.untilEnvironment(
    pull.slug,
    (row) => row.phase === 'failed' && row.deployment?.commit === commit && row.deployment.state === 'failed',
    { mayFail: true },
  );
  if (environment.failure === null) throw new Error(`${pull.slug} failed without saying why`);
  const { failure } = environment;
  const comment = await untilComment(repository, pull.number, `of \`${commit.slice(0, 7)}\` failed`);
  const status = await untilStatus(repository, commit, 'failure');
  const why = WhyView.parse(await stage.api.get(`/environments/${pull.slug}/why`));
  expect(why.failure).toEqual(failure);
  expect(status.description).toBe(clip(failure.message, 140));
  return { environment, failure, comment, status };
}

/** Ready at this commit, after a failure. */
const untilRecovered = (slug: string, commit: string) =>
  stage.untilEnvironment(slug, (row) => row.phase === 'ready' && row.deployment?.commit === commit, {
    mayFail: true,
  });

const clip = (text: string, length: number) =>
  text.length <= length ? text : `${text.slice(0, length - 1)}…`;

async function untilComment(repository: Repository, number: number, wanted: string): Promise<string> {
  return waitFor(
    `the comment on #${number} to say "${wanted}"`,
    async () => {
      const comments = await stage.forgeGet<{ body: string }[]>(
        `/repos/${repository.repo}/issues/${number}/comments`,
      );
      expect(comments.length).toBe(1);
      const body = comments[0]?.body ?? '';
      expect(body).toContain(wanted);
      return body;
    },
    { timeoutMs: FEEDBACK_MS, intervalMs: 100 },
  );
}

interface CommitStatus {
  readonly state: string;
  readonly description: string;
}

async function untilStatus(repository: Repository, commit: string, state: string): Promise<CommitStatus> {
  return waitFor(
    `the status of ${commit} to be ${state}`,
    async () => {
      const { statuses } = await stage.forgeGet<{ statuses: (CommitStatus & { context: string })[] }>(
        `/repos/${repository.repo}/commits/${commit}/status`,
      );
      const found = statuses.find((status) => status.context === 'bough / preview');
      expect(found?.state).toBe(state);
      return found;
    },
    { timeoutMs: FEEDBACK_MS, intervalMs: 100 },
  );
}

/** The text of a comment as a reader sees it: without the backslashes and entities that keep Markdown from reading it. */
function readable(comment: string): string {
  return comment
    .replace(/&#(\d+);/g, (_, code: string) => String.fromCodePoint(Number(code)))
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&amp;', '&')
    .replaceAll('\u200b', '')
    .replace(/\\([\\`*_{}[\]()#+!|~<>&$])/g, '$1');
}

/** `more` is merged over what is sent; header names in lower case. */
function deliver(body: Buffer, more: Readonly<Record<string, string | undefined>> = {}) {
  const signature = `sha256=${createHmac('sha256', webhookSecret).update(body).digest('hex')}`;
  const headers = {
    'content-type': 'application/json',
    'content-length': String(body.length),
    'x-github-event': 'pull_request',
    'x-github-delivery': randomUUID(),
    'x-hub-signature-256': signature,
    ...more,
  };
  return post(Object.fromEntries(Object.entries(headers).filter(([, value]) => value !== undefined)), body);
}

/** Not `fetch`: it gives up when the answer comes before the body is sent. */
function post(headers: Readonly<Record<string, unknown>>, body: Buffer) {
  return new Promise<{ status: number; body: string }>((resolve, reject) => {
    let answered = false;
    const outgoing = request(`${stage.api.url}/webhooks/github`, {
      method: 'POST',
      headers: headers as Record<string, string>,
      agent: false,
      timeout: 60_000,
    });
    outgoing.once('response', (response) => {
      answered = true;
      const chunks: Buffer[] = [];
      const finish = () =>
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8') });
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.once('end', () => {
        finish();
        outgoing.destroy();
      });
    });
    outgoing.on('error', (error) => answered || reject(error));
    outgoing.once('timeout', () => outgoing.destroy(new Error('no answer')));
    outgoing.flushHeaders();
    // Not ended: what is said about the size is said as soon as it is known.
    if (body.length > 0) outgoing.write(body);
    if (body.length === Number(headers['content-length'])) outgoing.end();
  });
}

const problemOf = (answer: { body: string }) =>
  (JSON.parse(answer.body) as { error: { code: string; message: string; hint: string | null } }).error;

async function healthyPayload(): Promise<Buffer> {
  const repository = await stage.forgeGet(`/repos/${tiny.repo}`);
  const pull = await stage.forgeGet(`/repos/${tiny.repo}/pulls/1`);
  const sender = { login: 'robin', id: 1 };
  return Buffer.from(
    JSON.stringify({ action: 'synchronize', number: 1, pull_request: pull, repository, sender }),
  );
}

async function deliveriesOf(id: string) {
  return stage.query<{ fate: string; attempts: number }>(
    'select fate, attempts from deliveries where delivery_id = $1',
    [id],
  );
}

describe('a webhook', () => {
  test('with a wrong or no signature is answered 401 with what to check, and leaves nothing', async () => {
    const body = await healthyPayload();
    const id = randomUUID();
    const wrong = await deliver(body, {
      'x-github-delivery': id,
      'x-hub-signature-256': `sha256=${'0'.repeat(64)}`,
    });
    expect(wrong.status).toBe(401);
    expect(problemOf(wrong)).toMatchObject({
      code: 'webhook-signature-wrong',
      message: expect.stringContaining('does not fit'),
      hint: expect.stringContaining('GITHUB_WEBHOOK_SECRET'),
    });
    const unsigned = await deliver(body, { 'x-github-delivery': id, 'x-hub-signature-256': undefined });
    expect(unsigned.status).toBe(401);
    expect(problemOf(unsigned)).toMatchObject({
      code: 'webhook-unsigned',
      hint: expect.stringContaining('GITHUB_WEBHOOK_SECRET'),
    });
    expect(await deliveriesOf(id)).toEqual([]);
  });

  test('that is sent again is counted, and acted on once', async () => {
    const body = await healthyPayload();
    const id = randomUUID();
    const first = await deliver(body, { 'x-github-delivery': id });
    expect(first).toMatchObject({ status: 202 });
    await waitFor(
      'the delivery to be observed',
      async () => (await deliveriesOf(id))[0]?.fate === 'observed',
      {
        timeoutMs: FEEDBACK_MS,
      },
    );
    const again = await deliver(body, { 'x-github-delivery': id });
    expect(again.status).toBe(202);
    expect(JSON.parse(again.body)).toMatchObject({
      deliveryId: id,
      fate: 'observed',
      reason: expect.stringContaining('pr-1--tiny is at'),
    });
    expect(await deliveriesOf(id)).toEqual([{ fate: 'observed', attempts: 2 }]);
    const { deployments } = (await stage.api.get('/environments/pr-1--tiny/deployments')) as {
      deployments: unknown[];
    };
    expect(deployments.length).toBe(1);
  });

  test('with too large a body is answered 413, and the next one is taken', async () => {
    const large = Buffer.alloc(25 * 1024 * 1024 + 1, 'x');
    // The answer comes before the body; a sender that goes on sending would see a closed connection.
    const announced = await deliver(Buffer.alloc(0), { 'content-length': String(large.length) });
    expect(announced.status).toBe(413);
    expect(problemOf(announced)).toMatchObject({
      code: 'request-too-large',
      message: expect.stringMatching(/larger than 25(600 KiB| MiB)/),
    });
    const streamed = await deliver(large, { 'content-length': undefined, 'transfer-encoding': 'chunked' });
    expect(streamed.status).toBe(413);
    const next = await deliver(Buffer.from('{"zen":"Keep it logically awesome."}'), {
      'x-github-event': 'ping',
    });
    expect(next.status).toBe(202);
  });
});

describe('a manifest', () => {
  test(
    'with a tab is named by file, line and column, and mended by the next push',
    async () => {
      const broken = manifest().replace('    build:\n', '\tbuild:\n');
      const line = broken.split('\n').findIndex((text) => text.startsWith('\t')) + 1;
      const pull = await tiny.open('tab', { '.bough/config.yaml': broken });
      const { failure, comment, status } = await untilFailed(tiny, pull);
      expect(failure).toMatchObject({
        code: 'manifest-invalid',
        message: expect.stringMatching(new RegExp(`^\\.bough/config\\.yaml:${line}:1: .*tab`, 'i')),
        hint: expect.stringMatching(/spaces/i),
      });
      expect(readable(comment)).toContain(`.bough/config.yaml:${line}:1: `);
      expect(readable(comment)).toContain(failure.hint);
      expect(status.description).toContain(`.bough/config.yaml:${line}:1: `);

      const mended = await tiny.push('tab', { '.bough/config.yaml': manifest() });
      await untilRecovered(pull.slug, mended);
      await untilComment(tiny, pull.number, 'Preview is ready');
    },
    TEST_MS,
  );

  test(
    'with wrong keys is told of each, with what was meant',
    async () => {
      const pull = await tiny.open('keys', {
        '.bough/config.yaml': manifest().replace('hooks:', 'hoks:').replace('routes:', 'route:'),
      });
      const { failure, comment } = await untilFailed(tiny, pull);
      expect(failure.message).toMatch(/^\.bough\/config\.yaml:\d+:\d+: .*(hoks|route).* \(and 1 more\)/);
      const text = readable(comment);
      expect(text).toMatch(/config\.yaml:\d+:\d+: .*hoks.*hooks/);
      expect(text).toMatch(/config\.yaml:\d+:\d+: .*route.*routes/);
    },
    TEST_MS,
  );

  test(
    'that names a directory which is not there says which, and which may be meant',
    async () => {
      const pull = await tiny.open('directory', {
        '.bough/config.yaml': manifest().replace(
          '    type: nodejs:22\n',
          '    type: nodejs:22\n    source:\n      root: frontent\n',
        ),
        'frontend/app.mjs': '',
      });
      const { failure, comment } = await untilFailed(tiny, pull);
      expect(failure.message).toMatch(
        /^\.bough\/config\.yaml:\d+:\d+: app "web": directory "frontent" is not in/,
      );
      expect(failure.hint).toContain('frontend');
      expect(readable(comment)).toContain('directory "frontent" is not in the repository');
    },
    TEST_MS,
  );

  test(
    'that asks for a version which cannot be had lists those that can',
    async () => {
      const pull = await tiny.open('version', {
        '.bough/config.yaml': manifest().replace('nodejs:22', 'nodejs:19'),
      });
      const { failure, comment } = await untilFailed(tiny, pull);
      expect(failure.message).toMatch(/nodejs:19 cannot be had here; available: .*20.*22.*24/);
      expect(failure.hint).toMatch(/nodejs:\d+/);
      expect(readable(comment)).toContain('nodejs:19 cannot be had here');
    },
    TEST_MS,
  );
});

describe('an app', () => {
  test(
    'whose build hook fails shows the last lines as they are, without secrets',
    async () => {
      const hook = [
        'for n in $(seq 1 60); do echo "line $n"; done',
        'echo "# <b>@acme/team</b> [click](http://evil.example) \\`\\`\\` ![x](y)"',
        'echo "token $BUILD_TOKEN in the middle" >&2',
        'exit 7',
      ];
      const pull = await tiny.open('build', { 'build.sh': `${hook.join('\n')}\n` });
      const { failure, comment, environment } = await untilFailed(tiny, pull);
      expect(failure).toMatchObject({
        code: 'build-failed',
        message: expect.stringContaining('build hook of app "web" failed'),
        hint: expect.stringMatching(/push again|exit code/),
      });
      expect(failure.message + failure.hint).toContain('7');
      expect(failure.tail.at(-1)).toBe('token [redacted] in the middle');
      // In a block of code, whose fence its content cannot end.
      const fenced = /\n(`{4,})text\n([\s\S]*?)\n\1\n/.exec(comment)?.[2]?.split('\n') ?? [];
      expect(fenced).toContain('# <b>@acme/team</b> [click](http://evil.example) ``` ![x](y)');
      expect(fenced).toContain('line 60');
      expect(fenced).not.toContain('line 1');
      expect(readable(comment)).toContain(failure.hint);

      // What has begun to be told is told everywhere: nowhere may it stand.
      const log = await lines(`/deployments/${environment.deployment?.id}/steps/build/log`);
      expect(log).toContain('token [redacted] in the middle');
      const said = [comment, JSON.stringify(environment), log.join('\n'), await stage.bough.log(100_000)];
      expect(said.filter((text) => text.includes(buildSecret))).toEqual([]);
      expect(await filesWith(join(stage.home, 'logs'), buildSecret)).toEqual([]);
    },
    TEST_MS,
  );

  test(
    'that never listens, or ends at once, is told apart; the release before keeps serving',
    async () => {
      const [silent, crashing] = [await tiny.open('silent'), await tiny.open('crashing')];
      const serving = [await watchReady(silent, silent.commit), await watchReady(crashing, crashing.commit)];
      const [silence, crash] = [
        await tiny.push('silent', { 'app.mjs': 'console.log("I sleep"); setInterval(() => {}, 1000);\n' }),
        await tiny.push('crashing', { 'app.mjs': 'throw new Error("no configuration found");\n' }),
      ];
      const slept = await untilFailed(tiny, silent, silence);
      expect(slept.failure).toMatchObject({
        code: 'app-not-listening',
        message: `App "web" did not listen on its port within ${LISTEN_SECONDS} s.`,
        hint: expect.stringContaining('$PORT'),
        tail: expect.arrayContaining(['I sleep']),
      });
      expect(slept.comment).toContain('an earlier commit keeps serving');
      expect(slept.comment).toContain('I sleep');

      const crashed = await untilFailed(tiny, crashing, crash);
      expect(crashed.failure).toMatchObject({
        code: 'app-crashes',
        message: 'App "web" exits as soon as it is started (exit code 1).',
      });
      expect(crashed.failure.tail.join('\n')).toContain('Error: no configuration found');
      expect(crashed.comment).toContain('Error: no configuration found');
      expect(crashed.comment).toContain('an earlier commit keeps serving');
      for (const each of serving) await endWatch(each);
    },
    TEST_MS,
  );

  test(
    'that never listened shows a page that says so',
    async () => {
      const pull = await tiny.open('deaf', { 'app.mjs': 'setInterval(() => {}, 1000);\n' });
      const { comment } = await untilFailed(tiny, pull);
      expect(comment).not.toContain('keeps serving</');
      const page = await stage.visit(pull.slug);
      expect(page.status).toBe(503);
      expect(page.body).toMatch(/fail/i);
    },
    TEST_MS,
  );

  test(
    'whose port is taken while it is down gets another one',
    async () => {
      const pull = await tiny.open('port', { 'app.mjs': mortalApp });
      await stage.untilReady(pull.slug, pull.commit);
      const { port } = await stage.ask<{ port: number }>(pull.slug);
      await stage.visit(pull.slug, '/end').catch(() => undefined);
      const stranger = await takePort(port);
      try {
        await waitFor(
          'the app to answer on another port',
          async () => {
            const answer = await stage.ask<{ port: number; commit: string }>(pull.slug);
            expect(answer.commit).toBe(pull.commit);
            expect(answer.port).not.toBe(port);
            return true;
          },
          { timeoutMs: READY_MS, intervalMs: 200 },
        );
      } finally {
        stranger.close();
      }
      expect(await stage.readEnvironment(pull.slug)).toMatchObject({ phase: 'ready' });
    },
    TEST_MS,
  );
});

const mortalApp = `import { createServer } from 'node:http';
const { BOUGH_COMMIT: commit, BOUGH_DEPLOYMENT: deployment, PORT } = process.env;
createServer((request, response) => {
  if (request.url === '/end') process.exit(1);
  response.end(JSON.stringify({ commit, deployment, port: Number(PORT) }));
}).listen(Number(PORT));
`;

async function takePort(port: number): Promise<Server> {
  return waitFor(`port ${port} to be free`, async () => {
    const server = createServer((socket) => socket.destroy());
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, '127.0.0.1', resolve);
    });
    return server;
  });
}

async function lines(path: string): Promise<string[]> {
  const found: string[] = [];
  for await (const line of stage.api.lines(path)) found.push(line);
  return found;
}

async function filesWith(directory: string, text: string): Promise<string[]> {
  const found: string[] = [];
  for (const name of await readdir(directory, { recursive: true })) {
    const path = join(directory, name);
    if ((await stat(path)).isFile() && (await readFile(path, 'utf8')).includes(text)) found.push(path);
  }
  return found;
}

describe('who may', () => {
  test(
    'a pull request from a fork is held with the reason, and nothing of it runs',
    async () => {
      await shared.forge.fork({ repo: tiny.repo, owner: 'stranger' });
      await shared.forge.commit({
        repo: 'stranger/tiny',
        branch: 'contribution',
        files: { 'build.sh': 'echo "I run"\n' },
        message: 'Contribute',
        user: 'stranger',
      });
      const number = await shared.forge.openPullRequest({
        repo: tiny.repo,
        head: 'contribution',
        title: 'Contribute',
        user: 'stranger',
        fork: 'stranger',
      });
      const slug = `pr-${number}--tiny`;
      const comment = await untilComment(tiny, number, 'is held');
      expect(comment).toMatch(/comes from a fork/);
      const environment = await stage.readEnvironment(slug);
      expect(environment).toMatchObject({ phase: 'held', deployment: null, routes: [] });
      expect(environment?.heldReason).toContain('fork');
      expect(await stage.api.get(`/environments/${slug}/workloads`)).toEqual({ workloads: [] });
      expect((await stage.visit(slug)).status).toBe(404);
    },
    TEST_MS,
  );

  test(
    'the policy of a pull request does not count',
    async () => {
      const files = await tinyProject({ database: true });
      const main = manifest({ database: true }).replace('access: open', 'access: basic');
      const repository = await connectRepository(shared.forge, [stage], {
        name: 'policy',
        files: { ...files, '.bough/config.yaml': main },
      });
      const pull = await repository.open('mine', {
        '.bough/config.yaml': manifest({ database: true, clones: true }),
      });
      const environment = await stage.untilReady(pull.slug, pull.commit);
      expect(environment.data).toMatchObject({
        state: 'empty',
        note: expect.stringContaining('the default branch has no `data:` policy'),
      });
      expect(environment.routes.map((route) => route.access)).toEqual(['basic']);
      expect((await stage.visit(pull.slug)).status).toBe(401);
      const comment = await untilComment(repository, pull.number, 'Preview is ready');
      expect(readable(comment)).toContain('the default branch has no `data:` policy');
      expect(comment).toContain(`bough env show ${pull.slug}`);
    },
    TEST_MS,
  );

  test(
    'the first pull request that brings a manifest gets a preview with empty services',
    async () => {
      const repository = await connectRepository(shared.forge, [stage], {
        name: 'newcomer',
        files: { 'README.md': '# Newcomer\n' },
      });
      const pull = await repository.open('bough', await tinyProject({ database: true, clones: true }));
      const environment = await stage.untilReady(pull.slug, pull.commit);
      expect(environment.data).toMatchObject({
        state: 'empty',
        note: expect.stringContaining('the default branch has no manifest yet'),
      });
      await untilComment(repository, pull.number, 'has no manifest yet');
    },
    TEST_MS,
  );
});

test(
  'a check names the place of the problem at its line, where an App reports',
  async () => {
    const { appId, appPrivateKey } = shared.forge;
    const reporter = await openStage({
      forge: shared,
      environment: { GITHUB_APP_ID: String(appId), GITHUB_APP_PRIVATE_KEY: appPrivateKey },
    });
    try {
      const files = await tinyProject();
      const repository = await connectRepository(shared.forge, [reporter], { name: 'noted', files });
      const broken = manifest().replace('    build:\n', '\tbuild:\n');
      const line = broken.split('\n').findIndex((text) => text.startsWith('\t')) + 1;
      const pull = await repository.open('tab', { '.bough/config.yaml': broken });
      await waitFor(
        'the check with its annotation',
        async () => {
          const { check_runs: runs } = await reporter.forgeGet<{
            check_runs: { conclusion: string | null; output: { title: string; annotations_count: number } }[];
          }>(`/repos/${repository.repo}/commits/${pull.commit}/check-runs`);
          expect(runs).toMatchObject([
            {
              name: 'bough / preview',
              conclusion: 'failure',
              output: {
                title: expect.stringContaining(`.bough/config.yaml:${line}:1: `),
                annotations_count: 1,
              },
            },
          ]);
          return true;
        },
        { timeoutMs: FEEDBACK_MS, intervalMs: 200 },
      );
      // The page shows what the check's annotations are.
      const page = await fetch(`${shared.forge.url}/${repository.repo}/pull/${pull.number}`);
      expect(await page.text()).toMatch(
        new RegExp(`failure</b> <code>\\.bough/config\\.yaml:${line}</code>[^<]*tab[^<]*spaces`, 'i'),
      );
    } finally {
      await reporter.close();
    }
  },
  TEST_MS,
);

describe('data', () => {
  let repository: Repository;
  let production: Watch;

  beforeAll(async () => {
    repository = await connectRepository(shared.forge, [stage], {
      name: 'data',
      files: await tinyProject({ database: true, clones: true }),
      production: 'managed',
    });
    production = await watchReady({ slug: 'data' }, repository.head);
    await openHealthy(repository);
  }, TEST_MS);

  test(
    'goes back to what it was when a deploy hook fails, and the release before keeps serving',
    async () => {
      const pull = await repository.open('migration');
      const serving = await watchReady(pull, pull.commit);
      const before = await stage.ask<string[]>(pull.slug, '/hook-runs');
      expect(before).toEqual([repository.head, pull.commit]);
      const commit = await repository.push('migration', {
        'hook.sh': 'node note-run.mjs\necho "migration 7 does not fit"\nexit 3\n',
      });
      const { failure, comment } = await untilFailed(repository, pull, commit);
      expect(failure).toMatchObject({
        code: 'deploy-hook-failed',
        message: 'The deploy hook of app "web" failed with exit code 3.',
        hint: expect.stringContaining('keeps serving'),
        tail: ['migration 7 does not fit'],
      });
      expect(comment).toContain('an earlier commit keeps serving');
      expect(comment).toContain('migration 7 does not fit');
      expect(await stage.ask<string[]>(pull.slug, '/hook-runs')).toEqual(before);
      await endWatch(serving);
    },
    TEST_MS,
  );

  test(
    'that does not fit on the disk is said, and fits as soon as there is room',
    async ({ skip }) => {
      if (disk === undefined) return skip('a disk to fill cannot be mounted here');
      await disk.fill(6 * 1024 * 1024);
      const cloned = await repository.open('full');
      const empty = await untilFullDisk(repository, cloned);
      expect(empty).toMatch(/^The disk under .* is full: .* needs [\d.]+ MB and [\d.]+ MB are free\.$/);

      const newcomer = await connectRepository(shared.forge, [stage], {
        name: 'roomless',
        files: await tinyProject({ database: true }),
      });
      const initialised = await newcomer.open('full');
      const unmade = await untilFullDisk(newcomer, initialised);
      expect(unmade).toMatch(/^The disk with the volumes is full: the data directory of service "database"/);
      await production.expectUndisturbed();

      await disk.free();
      await untilRecovered(cloned.slug, cloned.commit);
      await untilRecovered(initialised.slug, initialised.commit);
      expect(await stage.ask(cloned.slug, '/hook-runs')).toEqual([repository.head, cloned.commit]);
    },
    TEST_MS,
  );

  /** It is tried again and again, so what is said of it comes and goes. */
  async function untilFullDisk(of: Repository, pull: PullRequest): Promise<string> {
    const { failure } = await stage.untilEnvironment(pull.slug, (row) => row.failure?.code === 'disk-full', {
      mayFail: true,
    });
    expect(failure?.hint).toMatch(/Free space on that disk.*larger disk/);
    const comment = await untilComment(of, pull.number, 'Bough tries again at');
    expect(readable(comment)).toContain('is full: ');
    expect(readable(comment)).toContain('Free space on that disk');
    return failure?.message ?? '';
  }
});

describe('on the command line', () => {
  const bough = (...args: string[]) => boughCommand(stage.home, args);

  test(
    'a port that is taken is one clear line, and nothing is left',
    async () => {
      const home = await createTempHome('second');
      try {
        const { port } = new URL(stage.api.url);
        await mkdir(join(home.path, 'tmp'));
        const ended = await boughCommand(join(home.path, 'bough'), ['serve'], {
          environment: { BOUGH_PORT: port, BOUGH_GATEWAY_PORT: '0' },
        });
        expect(ended.exitCode).toBe(1);
        expect(ended.stderr).toContain(`error: Port ${port} is taken by another program.`);
        expect(ended.stderr).toContain('Set BOUGH_PORT to another port');
        expect(ended.stdout + ended.stderr).not.toMatch(/^\s+at /m);
        await assertNothingLeft({ path: home.path });
      } finally {
        await home.remove();
      }
    },
    TEST_MS,
  );

  test(
    'verbs say how it is, with exit codes that mean something',
    async () => {
      const pull = await tiny.open('command', {
        '.bough/config.yaml': manifest().replace('nodejs:22', 'nodejs:19'),
      });
      await untilFailed(tiny, pull);
      const [list, shown, failed, failedJson, why, unknown] = await Promise.all([
        bough('env', 'list', '--json', '--project', 'tiny'),
        bough('env', 'show', 'pr-1--tiny'),
        bough('env', 'show', pull.slug),
        bough('env', 'show', pull.slug, '--json'),
        bough('why', pull.slug),
        bough('env', 'show', 'pr-999--tiny'),
      ]);
      expect(list.exitCode).toBe(0);
      expect(JSON.parse(list.stdout)).toEqual(
        expect.arrayContaining([
          expect.objectContaining({ slug: 'pr-1--tiny', phase: 'ready' }),
          expect.objectContaining({ slug: pull.slug, phase: 'failed' }),
        ]),
      );
      expect(shown).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('pr-1--tiny  ready') });
      expect(failed.exitCode).toBe(3);
      expect(failed.stdout).toMatch(
        /failed +\.bough\/config\.yaml:\d+:3: app "\w+": nodejs:19 cannot be had here; available: /,
      );
      expect(failed.stdout).toMatch(/next +Ask for one of those/);
      expect(failedJson.exitCode).toBe(3);
      expect(JSON.parse(failedJson.stdout)).toMatchObject({
        phase: 'failed',
        failure: { code: 'toolchain-not-available' },
      });
      expect(why).toMatchObject({
        exitCode: 0,
        stdout: expect.stringMatching(/Failed: .*: nodejs:19 cannot/),
      });
      expect(unknown.exitCode).toBe(1);
      expect(unknown.stderr).toMatch(
        /error: There is no environment "pr-999--tiny"\.\nnext: .*bough env list/,
      );
    },
    TEST_MS,
  );

  test(
    'logs, deliveries and secrets can be looked at',
    async () => {
      const [delivery] = await stage.query<{ id: string }>(
        "select id::text from deliveries where subjects @> array['pull/1'] order by received_at desc limit 1",
      );
      const id = delivery?.id ?? '';
      const [logs, step, deliveries, replayed, notThere, secrets, usage] = await Promise.all([
        bough('env', 'logs', 'pr-1--tiny'),
        bough('env', 'logs', 'pr-1--tiny', '--step', 'deploy hook'),
        bough('delivery', 'list', '--project', 'tiny', '--json'),
        bough('delivery', 'replay', id),
        bough('delivery', 'replay', '999999999'),
        bough('secret', 'list', 'tiny'),
        bough('secret', 'set', 'tiny', 'OTHER', 'value', '--for', 'everybody'),
      ]);
      expect(logs.exitCode).toBe(0);
      expect(step).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('nothing to prepare') });
      expect(deliveries.exitCode).toBe(0);
      expect(JSON.parse(deliveries.stdout)).toEqual(
        expect.arrayContaining([expect.objectContaining({ event: 'pull_request', fate: 'observed' })]),
      );
      expect(replayed).toMatchObject({ exitCode: 0, stdout: expect.stringContaining(`Delivery ${id}`) });
      await waitFor('the replayed delivery to be observed', async () => {
        const [row] = await stage.query<{ fate: string }>('select fate from deliveries where id = $1', [id]);
        return row?.fate === 'observed';
      });
      expect(notThere.exitCode).toBe(1);
      expect(notThere.stderr).toMatch(/error: There is no delivery 999999999\.\nnext: /);
      expect(secrets).toMatchObject({
        exitCode: 0,
        stdout: expect.stringMatching(/BUILD_TOKEN +build +preview/),
      });
      expect(secrets.stdout).not.toContain(buildSecret);
      expect(usage.exitCode).toBe(2);
      expect(usage.stderr).toContain('--for preview');
    },
    TEST_MS,
  );
});
