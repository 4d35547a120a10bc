import { readAccess } from '@bough/domain/access-link';
import { Secret } from '@bough/domain/secret';
import { insertCommand } from '@bough/store/commands';
import { createPool } from '@bough/store/database';
import { closeDeployment, openDeployment } from '@bough/store/deployments';
import {
  type Fence,
  takeLease,
  writeAbsent,
  writeDesired,
  writeFailure,
  writeRemoved,
  writeSettled,
} from '@bough/store/environments';
import { insertProject, writeRepository } from '@bough/store/projects';
import { listPublications } from '@bough/store/publications';
import { handleRequests, openRequests } from '@bough/store/requests';
import { replaceRoutes } from '@bough/store/routes';
import { createTestDatabase, type TestDatabase } from '@bough/testkit/test-database';
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type SandboxFixture, startSandboxFixture, TOKEN } from '../../forge/test/sandbox-fixture.ts';
import { type FeedbackContext, publishFeedback } from '../src/publish.ts';
import { exampleRoute } from './example-state.ts';

let database: TestDatabase;
let pool: pg.Pool;
let forge: SandboxFixture;
let context: FeedbackContext;
let warnings: string[];
let projectId: string;
let number: number;
let commit: string;
let environmentId: string;

beforeAll(async () => {
  database = await createTestDatabase();
  pool = createPool({ url: database.url, max: 6, applicationName: 'test' });
});

afterAll(async () => {
  await pool.end();
  await database.drop();
});

beforeEach(async () => {
  forge = await startSandboxFixture('app');
  commit = await head({ 'cart.txt': 'one\n' });
  number = await forge.openPullRequest('cart');
  warnings = [];
  context = {
    pool,
    forge: () => forge.forge,
    publicUrl: 'http://localhost:3000',
    linkKey: new Secret('link key'),
    previewUrl: 'http://*.localhost:8080',
    log: { warn: (_, message) => warnings.push(message) },
  };
  // Each test has a forge of its own, and with it a project: repository ids are the forge's.
  const project = await insertProject(pool, {
    installationId: 'i1',
    forge: 'github',
    forgeHost: new URL(forge.sandbox.url).host,
    repositoryId: forge.repository.id,
    owner: 'acme',
    name: 'shop',
    slug: `shop-${new URL(forge.sandbox.url).port}`,
    defaultBranch: 'main',
    production: 'external',
    intake: 'webhook',
  });
  projectId = project.id;
  environmentId = (await wish()).id;
});

afterEach(async () => {
  try {
    forge.expectConformingCalls();
  } finally {
    await forge.close();
  }
});

const head = (files: Record<string, string>) => forge.push('cart', files);

async function wish(held: { heldReason: string; heldQuiet: boolean } | object = {}) {
  const { environment } = await writeDesired(pool, {
    projectId,
    installationId: 'i1',
    subject: `pull/${number}`,
    slug: `pr-${number}--p${projectId}`,
    kind: 'preview',
    facts: { title: 'Add a cart', number },
    desiredState: 'running',
    desiredCommit: commit,
    policyCommit: null,
    heldReason: null,
    variablesRevision: '0',
    requestId: null,
    ...held,
  });
  return environment;
}

async function fenceNow(): Promise<Fence> {
  const lease = await takeLease(pool, environmentId);
  if (lease === undefined) throw new Error('the environment is gone');
  return { environmentId, generation: (await wish()).generation, lease };
}

/** What a deployment leaves behind in the store, without the deploying. */
async function deployed(): Promise<void> {
  const fence = await fenceNow();
  const deployment = await openDeployment(pool, fence, commit);
  await replaceRoutes(pool, fence, [
    exampleRoute({ host: `pr-${number}--p${projectId}.localhost`, deploymentId: deployment.id }),
  ]);
  await closeDeployment(pool, fence, deployment.id, { state: 'ready' });
  await writeSettled(pool, fence, { deploymentId: deployment.id });
}

const publish = () => publishFeedback(context, environmentId);
const writes = () =>
  forge.sandbox.apiCalls.filter((call) => call.method !== 'GET' && /^\/repos/.test(call.path));

async function read<Answer>(path: string): Promise<Answer> {
  const reply = await fetch(`${forge.sandbox.apiUrl}/repos/acme/shop${path}`, {
    headers: { authorization: `token ${TOKEN}` },
  });
  if (!reply.ok) throw new Error(`${path} answered ${reply.status}`);
  return (await reply.json()) as Answer;
}

interface CheckRun {
  readonly status: string;
  readonly conclusion: string | null;
  readonly name: string;
}
const checksOf = async (sha: string) =>
  (await read<{ check_runs: CheckRun[] }>(`/commits/${sha}/check-runs`)).check_runs;

/** Newest first: each deployment's commit and the last that was said of it. */
async function deployments(): Promise<[string, string | undefined][]> {
  const listed = await read<{ id: number; sha: string }[]>('/deployments');
  return Promise.all(
    listed.map(async ({ id, sha }): Promise<[string, string | undefined]> => {
      const statuses = await read<{ state: string }[]>(`/deployments/${id}/statuses`);
      return [sha, statuses[0]?.state];
    }),
  );
}

describe('the comment', () => {
  test('is created once, then edited', async () => {
    expect(await publish()).toEqual({ kind: 'done' });
    const [first] = await forge.comments(number);
    expect(first?.body).toContain('is queued');
    await deployed();
    await publish();
    const comments = await forge.comments(number);
    expect(comments).toHaveLength(1);
    expect(comments[0]?.id).toBe(first?.id);
    expect(comments[0]?.body).toContain('Preview is ready');
    expect(comments[0]?.body).toContain(`http://pr-${number}--p${projectId}.localhost:8080/`);
  });

  test('what was said is not said again: nothing is written at all', async () => {
    await deployed();
    await publish();
    const before = writes().length;
    const calls = forge.sandbox.apiCalls.length;
    await publish();
    await publish();
    expect(writes()).toHaveLength(before);
    expect(forge.sandbox.apiCalls).toHaveLength(calls);
  });

  test('deleted by hand it comes back with the next change, once', async () => {
    await publish();
    const [first] = await forge.comments(number);
    await forge.forge.removeComment(forge.repository, String(first?.id));
    await deployed();
    await publish();
    const comments = await forge.comments(number);
    expect(comments).toHaveLength(1);
    expect(comments[0]?.id).not.toBe(first?.id);
    expect(comments[0]?.body).toContain('Preview is ready');
  });

  test('when its id is lost it is found again, not doubled', async () => {
    await publish();
    await pool.query(`delete from publications where environment_id = $1`, [environmentId]);
    await deployed();
    await publish();
    expect(await forge.comments(number)).toHaveLength(1);
  });

  test('two publishers at once write one', async () => {
    const outcomes = await Promise.all([publish(), publish(), publish()]);
    expect(outcomes.filter((outcome) => outcome.kind === 'done').length).toBeGreaterThan(0);
    for (const outcome of outcomes) expect(['done', 'again']).toContain(outcome.kind);
    expect(await forge.comments(number)).toHaveLength(1);
  });

  test('is edited once for each command that was answered, newest last', async () => {
    await deployed();
    await publish();
    const of = { projectId, subject: `pull/${number}` };
    const command = (commentId: number, over: Partial<Parameters<typeof insertCommand>[1]> = {}) =>
      insertCommand(pool, {
        ...{ ...of, commentId, askedBy: 'ada', command: '/bough help', verdict: 'accepted', reason: null },
        ...{ request: null, answer: `There are some, says ${commentId}.`, ...over },
      });
    const before = writes().length;
    await command(2);
    await publish();
    await publish();
    expect(writes()).toHaveLength(before + 1);
    // An earlier comment, one that nobody may hear of, and one that is not answered yet.
    await command(1);
    await command(3, { verdict: 'declined', reason: 'no', answer: null });
    await command(4, { command: '/bough redeploy', request: 'redeploy', answer: null });
    await publish();
    expect(writes()).toHaveLength(before + 1);
    const [asked] = await openRequests(pool, of);
    await handleRequests(pool, [asked?.id ?? ''], 'the shop is to run it');
    await publish();
    expect(writes()).toHaveLength(before + 2);
    const [comment, ...others] = await forge.comments(number);
    expect(others).toEqual([]);
    expect(comment?.body).toContain('**ada** asked for `/bough redeploy`');
    expect(comment?.body).toContain('> the shop is to run it');
    expect(comment?.body).not.toContain('says 2');
  });

  test('is the newer environment’s, once there is one: what the earlier learns late does not overwrite it', async () => {
    await publish();
    const earlier = environmentId;
    await writeAbsent(pool, { projectId, subject: `pull/${number}` });
    const lease = (await takeLease(pool, earlier)) ?? '';
    expect(await writeRemoved(pool, { environmentId: earlier, generation: '2', lease })).toBe(true);
    await publish();
    environmentId = (await wish()).id;
    await deployed();
    await publish();
    await insertCommand(pool, {
      ...{ projectId, subject: `pull/${number}`, commentId: 9, askedBy: 'ada', command: '/bough help' },
      ...{ verdict: 'accepted', reason: null, request: null, answer: 'There are some.' },
    });
    expect(await publishFeedback(context, earlier)).toEqual({ kind: 'done' });
    const [comment] = await forge.comments(number);
    expect(comment?.body).toContain('Preview is ready');
    expect((await checksOf(commit)).map(({ conclusion }) => conclusion)).toEqual(['success']);
  });

  test('is the earlier environment’s while the newer one is held in silence: what it began it ends', async () => {
    await publish();
    const earlier = environmentId;
    await writeAbsent(pool, { projectId, subject: `pull/${number}` });
    await publish();
    const removing = await forge.comments(number);
    expect(removing[0]?.body).toContain('Preview is being removed');
    const lease = (await takeLease(pool, earlier)) ?? '';
    expect(await writeRemoved(pool, { environmentId: earlier, generation: '2', lease })).toBe(true);
    environmentId = (await wish({ heldReason: 'it lacks the label', heldQuiet: true })).id;
    expect(environmentId).not.toBe(earlier);
    await publish();
    expect(await publishFeedback(context, earlier)).toEqual({ kind: 'done' });
    const [comment, ...others] = await forge.comments(number);
    expect(others).toEqual([]);
    expect(comment?.body).toContain('Preview is removed');
  });

  test('an environment that is gone from the store is done', async () => {
    await publish();
    expect(await publishFeedback(context, '999999')).toEqual({ kind: 'done' });
  });
});

describe('a forge that refuses', () => {
  const locked = { status: 403, message: 'Unable to create comment because issue is locked.' };

  test('a locked conversation is noted; check and deployment say it all the same', async () => {
    forge.sandbox.faults.set({ match: 'POST /repos/*/issues/*/comments', ...locked });
    await deployed();
    expect(await publish()).toEqual({ kind: 'done' });
    expect(await forge.comments(number)).toHaveLength(0);
    expect((await checksOf(commit)).map((check) => check.conclusion)).toEqual(['success']);
    expect(await deployments()).toEqual([[commit, 'success']]);
    expect(warnings).toEqual(['the forge refuses this feedback']);
    const said = await listPublications(pool, environmentId);
    expect(said.find((publication) => publication.kind === 'comment')?.failure).toContain('locked');
    // The same words are not tried again: they would get the same answer.
    const before = writes().length;
    await publish();
    expect(writes()).toHaveLength(before);
  });

  test('unlocked, the same words are written after a while although nothing changed', async () => {
    forge.sandbox.faults.set({ match: 'POST /repos/*/issues/*/comments', ...locked });
    await deployed();
    await publish();
    forge.sandbox.faults.clear();
    await pool.query(`update publications set published_at = now() - interval '11 minutes'`);
    await publish();
    expect(await forge.comments(number)).toHaveLength(1);
    const said = await listPublications(pool, environmentId);
    expect(said.find((publication) => publication.kind === 'comment')).toMatchObject({ failure: null });
  });

  test('unlocked, the next change is written', async () => {
    forge.sandbox.faults.set({ match: 'POST /repos/*/issues/*/comments', ...locked });
    await publish();
    forge.sandbox.faults.clear();
    await deployed();
    await publish();
    expect(await forge.comments(number)).toHaveLength(1);
  });

  test('a commit that was force-pushed away does not stand in the way of the rest', async () => {
    commit = 'd'.repeat(40);
    await wish();
    expect(await publish()).toEqual({ kind: 'done' });
    expect(await forge.comments(number)).toHaveLength(1);
  });
});

describe('a forge that is down', () => {
  test('502 throws, and the next try says it, once', async () => {
    forge.sandbox.faults.set({ match: 'POST /repos/*/issues/*/comments', status: 502 });
    await expect(publish()).rejects.toMatchObject({ code: 'forge-unreachable', retryable: true });
    forge.sandbox.faults.clear();
    expect(await publish()).toEqual({ kind: 'done' });
    expect(await forge.comments(number)).toHaveLength(1);
  });

  test('an answer that is lost after the work was done doubles nothing', async () => {
    forge.sandbox.faults.set({ match: 'POST /repos/*/issues/*/comments', disconnect: 'after', times: 1 });
    await publish().catch(() => undefined);
    forge.sandbox.faults.clear();
    await publish();
    expect(await forge.comments(number)).toHaveLength(1);
  });

  test('what it makes after it was given up is removed, and the last word said again, once nothing can come of it', async () => {
    forge.sandbox.faults.set({ match: 'POST /repos/*/issues/*/comments', disconnect: 'before', times: 1 });
    await publish().catch(() => undefined);
    await publish();
    const [comment] = await forge.comments(number);
    const marker = '<!-- late -->';
    await forge.forge.publishComment(forge.repository, { number, body: `${comment?.body}`, marker });
    expect(await forge.comments(number)).toHaveLength(2);
    const before = writes().length;
    await publish();
    expect(writes()).toHaveLength(before);
    await pool.query(`update publications set published_at = now() - interval '2 minutes'`);
    await publish();
    expect(await forge.comments(number)).toEqual([comment]);
    const settled = writes().length;
    await pool.query(`update publications set published_at = now() - interval '2 minutes'`);
    await publish();
    expect(writes()).toHaveLength(settled);
  });

  test('it lets go of its lock, so that the next try may speak', async () => {
    forge.sandbox.faults.set({ match: 'POST /repos/*/issues/*/comments', status: 502 });
    await expect(publish()).rejects.toThrow();
    const { rows } = await pool.query(`select 1 from pg_locks where locktype = 'advisory' and database =
      (select oid from pg_database where datname = current_database())`);
    expect(rows).toEqual([]);
  });
});

describe('checks and deployments', () => {
  test('announced just before a crash, a deployment that was overtaken does not stay in progress', async () => {
    await openDeployment(pool, await fenceNow(), commit);
    forge.sandbox.faults.set({ match: 'POST /repos/*/deployments/*/statuses', disconnect: 'after' });
    await publish().catch(() => undefined);
    forge.sandbox.faults.clear();
    const old = commit;
    commit = await head({ 'cart.txt': 'two\n' });
    await deployed();
    await publish();
    expect(await deployments()).toContainEqual([old, 'inactive']);
  });

  test('of a commit that nobody wants any more are cancelled and inactive', async () => {
    const old = commit;
    await openDeployment(pool, await fenceNow(), old);
    await publish();
    expect(await checksOf(old)).toMatchObject([{ status: 'queued', conclusion: null }]);
    expect(await deployments()).toEqual([[old, 'in_progress']]);
    commit = await head({ 'cart.txt': 'two\n' });
    await deployed();
    await publish();
    expect(await checksOf(old)).toMatchObject([{ status: 'completed', conclusion: 'cancelled' }]);
    expect(await checksOf(commit)).toMatchObject([{ status: 'completed', conclusion: 'success' }]);
    expect(await deployments()).toEqual([
      [commit, 'success'],
      [old, 'inactive'],
    ]);
  });

  test('of a commit that was tried again they are cancelled, also when the forge’s answer to that was lost', async () => {
    const old = commit;
    await deployed();
    await publish();
    await pool.query('update environments set generation = generation + 1 where id = $1', [environmentId]);
    forge.sandbox.faults.set({ match: 'PATCH /repos/*/check-runs/*', disconnect: 'after' });
    await expect(publish()).rejects.toMatchObject({ code: 'forge-unreachable' });
    forge.sandbox.faults.clear();
    expect(await checksOf(old)).toMatchObject([{ status: 'queued' }]);
    commit = await head({ 'cart.txt': 'two\n' });
    await deployed();
    await publish();
    expect(await checksOf(old)).toMatchObject([{ status: 'completed', conclusion: 'cancelled' }]);
  });

  test('a check that passed stays passed when a newer commit takes its place', async () => {
    const old = commit;
    await deployed();
    await publish();
    commit = await head({ 'cart.txt': 'two\n' });
    await deployed();
    await publish();
    expect(await checksOf(old)).toMatchObject([{ conclusion: 'success' }]);
    expect(await deployments()).toEqual([
      [commit, 'success'],
      [old, 'inactive'],
    ]);
  });

  test('while a newer commit fails, the release that serves stays the active one', async () => {
    const old = commit;
    await deployed();
    await publish();
    commit = await head({ 'cart.txt': 'two\n' });
    const fence = await fenceNow();
    const failure = { code: 'x', message: 'The build broke.', hint: null, tail: ['last'] };
    const deployment = await openDeployment(pool, fence, commit);
    await closeDeployment(pool, fence, deployment.id, { state: 'failed', failure });
    await writeFailure(pool, fence, failure, null);
    await publish();
    expect(await deployments()).toEqual([
      [commit, 'failure'],
      [old, 'success'],
    ]);
    expect(await checksOf(commit)).toMatchObject([{ conclusion: 'failure' }]);
    expect((await forge.comments(number))[0]?.body).toContain('an earlier commit keeps serving');
  });
});

test('a link stands in comments of private repositories alone, and is renewed some days before it ends', async () => {
  await deployed();
  const host = `pr-${number}--p${projectId}.localhost`;
  await replaceRoutes(pool, await fenceNow(), [exampleRoute({ host, access: { kind: 'link', epoch: 0 } })]);
  const body = async () => {
    const [comment] = await read<{ body: string }[]>(`/issues/${number}/comments`);
    return comment?.body ?? '';
  };
  const at = (days: number) => {
    const now = new Date(Date.UTC(2026, 0, 1) + days * 86_400_000);
    return publishFeedback({ ...context, clock: { now: () => now } }, environmentId).then(() => now);
  };
  await at(0);
  expect(await body()).not.toContain('bough_link');
  expect(await body()).toContain(`bough env url pr-${number}--p${projectId}`);

  const names = { owner: 'acme', name: 'shop', defaultBranch: 'main' };
  await writeRepository(pool, projectId, { ...names, private: true });
  const seen = new Set<string>();
  for (let day = 0; day < 9; day += 0.5) {
    const now = await at(day);
    const [, token = ''] = /bough_link=([\w.-]+)/.exec(await body()) ?? [];
    const worth = readAccess(new Secret('link key'), 'link', { environmentId, epoch: 0 }, token, now);
    const left = worth.kind === 'valid' ? worth.expiresAt.getTime() - now.getTime() : 0;
    expect(left).toBeGreaterThanOrEqual(4 * 86_400_000 - 1_000);
    expect(left).toBeLessThanOrEqual(7 * 86_400_000);
    seen.add(token);
  }
  expect(seen.size).toBeGreaterThanOrEqual(3);
  expect(seen.size).toBeLessThanOrEqual(4);

  await writeRepository(pool, projectId, { ...names, private: false });
  await at(9);
  expect(await body()).not.toContain('bough_link');
});
