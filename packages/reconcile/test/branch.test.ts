import { type Clock, systemClock } from '@bough/domain/clock';
import { phase } from '@bough/domain/environment';
import { closeDeployment, openDeployment } from '@bough/store/deployments';
import {
  findLastEnvironment,
  findLivingEnvironment,
  takeLease,
  writeData,
  writeDesired,
  writeRemoved,
} from '@bough/store/environments';
import { insertProject, type Project } from '@bough/store/projects';
import { insertRequest, lastRequest, listUnheardSubjects } from '@bough/store/requests';
import { replaceRoutes } from '@bough/store/routes';
import { freezeSnapshot, insertSnapshot, listKeptSnapshots } from '@bough/store/snapshots';
import type pg from 'pg';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { SandboxFixture } from '../../forge/test/sandbox-fixture.ts';
import { expire } from '../src/idle.ts';
import { type ObserveContext, observe, observeKey } from '../src/observe.ts';
import { type BranchWish, openBranch } from '../src/open-branch.ts';
import { type ObserveHarness, openObserveHarness } from './observe-harness.ts';

/** Branches from the wish to the row and away again: real Postgres, the GitHub driver, and the sandbox forge at its other end. */

let harness: ObserveHarness;
let pool: pg.Pool;
let forge: SandboxFixture;
let context: ObserveContext;
let project: Project;
let main: string;
let repositories = 0;

beforeAll(async () => {
  harness = await openObserveHarness('branches', 'token');
  ({ pool, forge } = harness);
  main = await forge.push('main', {
    '.bough/config.yaml':
      'applications:\n  app: { type: "nodejs:22", web: { commands: { start: node a.js } } }\npreviews: { limits: { environments: 2 } }\n',
  });
});

afterAll(async () => {
  try {
    forge.expectConformingCalls();
  } finally {
    await harness.close();
  }
});

beforeEach(async () => {
  repositories += 1;
  project = await insertProject(pool, {
    ...{ installationId: 'i1', forge: 'github', forgeHost: `forge-${repositories}` },
    ...{ repositoryId: forge.repository.id, owner: 'acme', name: 'shop', slug: `shop${repositories}` },
    ...{ defaultBranch: 'main', production: 'external', intake: 'webhook' },
  });
  context = harness.context();
});

const signal = () => AbortSignal.timeout(60_000);
const at = (clock: Clock) => ({ pool, forge: forge.forge, clock });
const ask = (wish: Partial<BranchWish>) =>
  openBranch(at(systemClock), project, {
    ...{ name: 'bug', from: 'production', data: 'none', seconds: 3_600, askedBy: 'ada' },
    ...wish,
  });
const look = (subject: string) => observe(context, observeKey(project.id, subject), signal());
const living = (subject: string) => findLivingEnvironment(pool, { projectId: project.id, subject });
const request = (subject: string, kind: 'open' | 'delete' | 'redeploy') =>
  insertRequest(pool, { projectId: project.id, subject, kind, argument: null, askedBy: 'ada' });

/** A preview of this repository's own pull request, as observe writes it. */
async function preview(number: number, commit: string, trust: 'trusted' | 'untrusted' = 'trusted') {
  const { environment } = await writeDesired(pool, {
    ...{ projectId: project.id, installationId: 'i1', subject: `pull/${number}`, kind: 'preview', trust },
    ...{ slug: `pr-${number}--${project.slug}`, facts: {}, desiredState: 'running', desiredCommit: commit },
    ...{ policyCommit: null, heldReason: null, variablesRevision: '0', requestId: null },
  });
  const lease = await takeLease(pool, environment.id);
  return {
    environment,
    fence: { environmentId: environment.id, generation: environment.generation, lease: lease ?? '' },
  };
}

async function golden(): Promise<string> {
  const row = await insertSnapshot(pool, {
    ...{
      environmentId: null,
      projectId: project.id,
      sanitize: 'none',
      policyCommit: null,
      sourceCommit: null,
    },
  });
  await freezeSnapshot(pool, row.id, {
    ...{
      volumes: {},
      credentialsEncrypted: Buffer.alloc(0),
      attestation: { signed: true },
      report: null,
      sizeBytes: 1,
    },
    capturedAt: new Date(),
  });
  return row.id;
}

/** What the reconciler does once nothing is left of it. */
async function removed(subject: string): Promise<void> {
  const row = await living(subject);
  if (row === undefined) throw new Error('it does not live');
  const lease = await takeLease(pool, row.id);
  await writeRemoved(pool, { environmentId: row.id, generation: row.generation, lease: lease ?? '' });
}

test('what was asked for is what it is, whatever the forge has under that name, until its time is over', async () => {
  const subject = 'branch/late';
  const opened = await ask({ name: 'late' });
  expect(opened).toMatchObject({ subject, slug: `late--${project.slug}`, commit: main });
  await look(subject);
  const first = await living(subject);
  expect(first).toMatchObject({
    ...{ desiredState: 'running', desiredCommit: main, kind: 'preview', trust: 'trusted' },
    branchOf: { from: 'production', data: 'none', snapshotId: null },
    expiresAt: opened.expiresAt,
    // Its own time counts, not previews.expires.
    expiresSeconds: null,
  });

  // A git branch of the same name is pushed and deleted; somebody redeploys.
  await forge.push('late', { 'late.txt': 'x\n' });
  await look(subject);
  await forge.deleteBranch('late');
  await look(subject);
  expect(await living(subject)).toMatchObject({ desiredCommit: main, generation: first?.generation });
  await request(subject, 'redeploy');
  await look(subject);
  expect(await living(subject)).toMatchObject({
    desiredState: 'running',
    desiredCommit: main,
    generation: '2',
  });

  const after = (ms: number): Clock => ({
    ...systemClock,
    now: () => new Date(opened.expiresAt.getTime() + ms),
  });
  expect(await expire({ ...context, clock: after(-60_000) })).toBe(0);
  // It goes although it is in the middle of something; asked twice, it is asked away once.
  expect(await expire({ ...context, clock: after(1_000) })).toBe(1);
  expect(await expire({ ...context, clock: after(2_000) })).toBe(1);
  await look(subject);
  expect(await living(subject)).toMatchObject({ desiredState: 'absent' });
  await expect(ask({ name: 'late' })).rejects.toThrow('is being removed');
  await removed(subject);

  for (const kind of ['redeploy', 'delete'] as const) {
    await request(subject, kind);
    await look(subject);
    expect(await living(subject)).toBeUndefined();
  }
  const kinds = ['delete'] as const;
  expect(await lastRequest(pool, { projectId: project.id, subject, kinds })).toMatchObject({
    askedBy: 'ada',
  });
  await ask({ name: 'late' });
  await look(subject);
  expect(phase((await living(subject)) as never)).toBe('queued');
});

test('somebody keeps it longer', async () => {
  const { expiresAt } = await ask({});
  await look('branch/bug');
  await insertRequest(pool, {
    ...{ projectId: project.id, subject: 'branch/bug', kind: 'keep', argument: '1d', askedBy: 'ada' },
  });
  await look('branch/bug');
  const clock: Clock = { ...systemClock, now: () => new Date(expiresAt.getTime() + 1_000) };
  await expire({ ...context, clock });
  const of = { projectId: project.id, subject: 'branch/bug' };
  expect(await lastRequest(pool, { ...of, kinds: ['delete'] })).toBeUndefined();
});

test('a preview’s branch has its commit and pins its golden; a fork’s cannot be branched', async () => {
  const commit = await forge.push('cart', { 'cart.txt': `${repositories}\n` });
  const { fence } = await preview(7, commit);
  await expect(ask({ from: 'pr-7', data: 'golden' })).rejects.toMatchObject({
    code: 'branch-data',
    hint: expect.stringContaining('--data none'),
  });
  const snapshotId = await golden();
  await golden();
  await writeData(pool, fence, { state: 'cloned', snapshotId, note: null });
  const opened = await ask({ from: 'pr-7', data: 'golden' });
  expect(opened).toMatchObject({ commit, branchOf: { from: 'pull/7', data: 'golden', snapshotId } });
  await look('branch/bug');
  await removed('pull/7');
  const kept = await listKeptSnapshots(pool, project.id);
  expect(kept.find(({ id }) => id === snapshotId)?.descendants).toBe(1);
  expect(await ask({ name: 'again', from: `bug--${project.slug}`, data: 'none' })).toMatchObject({ commit });

  await preview(8, commit, 'untrusted');
  await expect(ask({ name: 'strange', from: 'pr-8' })).rejects.toThrow('the code of a fork');
  await expect(ask({ name: 'strange', from: 'pr-9' })).rejects.toThrow('no environment pr-9');
});

test('production has no golden yet: refused, with both ways out', async () => {
  await expect(ask({ data: 'golden' })).rejects.toMatchObject({
    code: 'branch-data',
    hint: `Make one (bough data refresh ${project.slug}), or branch without data: --data none.`,
  });
  await golden();
  expect(await ask({ data: 'golden' })).toMatchObject({ branchOf: { snapshotId: null } });
});

test('a commit is one of this repository, by its whole id or its beginning', async () => {
  const own = await forge.push('own', { 'own.txt': `${repositories}\n` });
  await expect(ask({ commit: '0123456789abcdef0123456789abcdef01234567' })).rejects.toThrow(
    'has no commit 0123',
  );
  await expect(ask({ commit: 'own' })).rejects.toThrow('has no commit own');
  // Neither merged nor ever run: the forge shows commits of forks just so.
  await expect(ask({ commit: own })).rejects.toMatchObject({ code: 'branch-commit' });
  const strange = await preview(6, own, 'untrusted');
  await closeDeployment(pool, strange.fence, (await openDeployment(pool, strange.fence, own)).id, {
    state: 'ready',
  } as never);
  await expect(ask({ commit: own })).rejects.toThrow('may be a fork’s');
  const { fence } = await preview(7, own);
  await openDeployment(pool, fence, own);
  expect(await ask({ commit: own.slice(0, 12) })).toMatchObject({ commit: own });
  expect(await ask({ name: 'merged', commit: main.slice(0, 7) })).toMatchObject({ commit: main });
});

test('a name is taken by a branch, a git branch, an address, or whoever asks a moment earlier', async () => {
  await expect(ask({ name: 'pr-7' })).rejects.toThrow('pull requests');
  const both = await Promise.allSettled([ask({ name: 'twice' }), ask({ name: 'twice' })]);
  expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
  await look('branch/twice');
  await expect(ask({ name: 'twice' })).rejects.toThrow('There is a branch twice already');

  await forge.push('feature', { 'feature.txt': `${repositories}\n` });
  await request('branch/feature', 'open');
  await look('branch/feature');
  await expect(ask({ name: 'feature' })).rejects.toThrow('environment of the git branch feature');

  const { environment } = await preview(7, main);
  const lease = (await takeLease(pool, environment.id)) ?? '';
  await replaceRoutes(pool, { environmentId: environment.id, lease }, [
    {
      ...{
        host: `api--${project.slug}.localhost`,
        path: '/',
        deploymentId: null,
        route: 'https://api.{default}/',
      },
      ...{ state: 'serving', target: null, redirect: null, access: { kind: 'open' } },
      ...{ indexable: false, isPrimary: true },
    },
  ]);
  await expect(ask({ name: 'api' })).rejects.toThrow('where a branch api would be');
});

test('it waits when the project has as many previews as its policy allows', async () => {
  await preview(7, main);
  await preview(8, main);
  await ask({});
  await look('branch/bug');
  expect((await living('branch/bug'))?.heldReason).toContain('previews.limits.environments');
  await removed('pull/8');
  await look('branch/bug');
  expect(await living('branch/bug')).toMatchObject({ heldReason: null, desiredCommit: main });
});

test('deleted before anybody looked, it never was; a request that nobody heard is heard later', async () => {
  await ask({});
  await request('branch/bug', 'delete');
  const unheard = await listUnheardSubjects(pool, new Date(Date.now() + 60_000));
  expect(unheard).toContainEqual({ projectId: project.id, subject: 'branch/bug' });
  await look('branch/bug');
  expect(await findLastEnvironment(pool, { projectId: project.id, subject: 'branch/bug' })).toBeUndefined();
});
