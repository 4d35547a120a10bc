import { randomUUID } from 'node:crypto';
import { systemClock } from '@bough/domain/clock';
import { listDeliveries, receiveDelivery } from '@bough/store/deliveries';
import { findLastEnvironment } from '@bough/store/environments';
import type { Project } from '@bough/store/projects';
import { insertRequest } from '@bough/store/requests';
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { SandboxFixture } from '../../forge/test/sandbox-fixture.ts';
import { type ObserveContext, observe, observeKey } from '../src/observe.ts';
import { insertShop } from './insert-shop.ts';
import { type ObserveHarness, openObserveHarness } from './observe-harness.ts';

/** A forge that says 404 about what it has: real Postgres, the GitHub driver, and the sandbox forge at its other end. */

let harness: ObserveHarness;
let pool: pg.Pool;
let forge: SandboxFixture;
let project: Project;
let context: ObserveContext;
let branch: string;
let pull: string;
let minutesLater = 0;

beforeAll(async () => {
  harness = await openObserveHarness('absence', 'token');
  ({ pool, forge } = harness);
  project = await insertShop(pool, forge);
  const now = () => new Date(Date.now() + minutesLater * 60_000);
  context = harness.context({ clock: { ...systemClock, now } });
});

afterAll(() => harness.close());

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
