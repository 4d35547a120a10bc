import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { systemClock } from '@bough/domain/clock';
import { createSources } from '@bough/forge/git/sources';
import { createPool } from '@bough/store/database';
import { listDeliveries, receiveDelivery } from '@bough/store/deliveries';
import { findLastEnvironment } from '@bough/store/environments';
import type { Project } from '@bough/store/projects';
import { insertRequest } from '@bough/store/requests';
import { createTempHome, type TempHome } from '@bough/testkit/temp-home';
import { createTestDatabase, type TestDatabase } from '@bough/testkit/test-database';
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { git, type SandboxFixture, startSandboxFixture } from '../../forge/test/sandbox-fixture.ts';
import { type ObserveContext, observe, observeKey } from '../src/observe.ts';
import { insertShop } from './insert-shop.ts';

/** A forge that says 404 about what it has: real Postgres, the GitHub driver, and the sandbox forge at its other end. */

let database: TestDatabase;
let pool: pg.Pool;
let home: TempHome;
let forge: SandboxFixture;
let project: Project;
let context: ObserveContext;
let branch: string;
let pull: string;
let minutesLater = 0;

beforeAll(async () => {
  database = await createTestDatabase();
  pool = createPool({ url: database.url, max: 4, applicationName: 'test' });
  home = await createTempHome('absence');
  forge = await startSandboxFixture('token');
  project = await insertShop(pool, forge);
  context = {
    pool,
    clock: { ...systemClock, now: () => new Date(Date.now() + minutesLater * 60_000) },
    installationId: 'i1',
    enqueue: async () => {},
    forge: () => forge.forge,
    sources: createSources(git, join(home.path, 'checkouts')),
    directories: { mirrors: join(home.path, 'mirrors'), dumps: join(home.path, 'dumps') },
    log: { info: () => undefined, warn: () => undefined, error: () => undefined },
  };
});

afterAll(async () => {
  await forge.close();
  await pool.end();
  await database.drop();
  await home.remove();
});

beforeEach(async () => {
  minutesLater = 0;
  branch = `cart-${randomUUID().slice(0, 8)}`;
  await forge.push(branch, { 'cart.txt': `${branch}\n` });
  pull = `pull/${await forge.openPullRequest(branch)}`;
  await look(pull);
  expect(await desired(pull)).toBe('running');
});

afterEach(() => forge.sandbox.faults.clear());

const look = (subject: string) =>
  observe(context, observeKey(project.id, subject), new AbortController().signal);
const desired = async (subject: string) =>
  (await findLastEnvironment(pool, { projectId: project.id, subject }))?.desiredState;
const hide = (path: string) => forge.sandbox.faults.set({ match: `GET */${path}`, status: 404 });

async function deliver(subject: string, event: string): Promise<void> {
  const { repositoryId } = project;
  await receiveDelivery(pool, {
    ...{ forge: 'github', deliveryId: randomUUID(), event, action: null, repositoryId },
    subjects: [subject],
    payload: {},
  });
}

test('a pull request that is not found keeps its preview, and `bough why` hears of it', async () => {
  hide(pull.replace('pull', 'pulls'));
  await deliver(pull, 'pull_request');
  expect(await look(pull)).toEqual({ kind: 'again', delayMs: 60_000 });
  minutesLater = 59;
  await look(pull);
  expect(await desired(pull)).toBe('running');
  const [delivery] = await listDeliveries(pool, { repositoryId: project.repositoryId, subject: pull });
  expect(delivery).toMatchObject({ fate: 'declined', reason: expect.stringContaining('(404)') });
});

test('one that is found in between counts from the start', async () => {
  hide(pull.replace('pull', 'pulls'));
  await look(pull);
  forge.sandbox.faults.clear();
  minutesLater = 50;
  expect(await look(pull)).toEqual({ kind: 'done' });
  hide(pull.replace('pull', 'pulls'));
  minutesLater = 100;
  await look(pull);
  expect(await desired(pull)).toBe('running');
});

test('one that is not found for an hour is gone', async () => {
  hide(pull.replace('pull', 'pulls'));
  await look(pull);
  minutesLater = 61;
  expect(await look(pull)).toEqual({ kind: 'done' });
  expect(await desired(pull)).toBe('absent');
});

test('whoever wants the preview away need not wait', async () => {
  hide(pull.replace('pull', 'pulls'));
  await look(pull);
  await insertRequest(pool, {
    projectId: project.id,
    subject: pull,
    kind: 'delete',
    argument: null,
    askedBy: 'ada',
  });
  await look(pull);
  expect(await desired(pull)).toBe('absent');
});

test('a branch is gone when a delivery says so too, else after the hour', async () => {
  const subject = `branch/${branch}`;
  await insertRequest(pool, { projectId: project.id, subject, kind: 'open', argument: null, askedBy: 'ada' });
  await look(subject);
  await forge.deleteBranch(branch);
  await look(subject);
  expect(await desired(subject)).toBe('running');
  await deliver(subject, 'delete');
  await look(subject);
  expect(await desired(subject)).toBe('absent');
});
