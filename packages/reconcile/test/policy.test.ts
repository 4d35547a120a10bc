import { randomUUID } from 'node:crypto';
import { findDeclined } from '@bough/store/declined-subjects';
import { findLivingEnvironment } from '@bough/store/environments';
import type { Project } from '@bough/store/projects';
import { insertRequest, openRequests } from '@bough/store/requests';
import type pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { SandboxFixture } from '../../forge/test/sandbox-fixture.ts';
import { type ObserveContext, observe, observeKey } from '../src/observe.ts';
import { MANIFEST } from './harness.ts';
import { insertShop } from './insert-shop.ts';
import { type ObserveHarness, openObserveHarness } from './observe-harness.ts';

/** The policy as observe asks for it: real Postgres, real git, the GitHub driver and the sandbox forge. */

let harness: ObserveHarness;
let pool: pg.Pool;
let forge: SandboxFixture;
let project: Project;
let context: ObserveContext;
const repo = 'acme/shop';

beforeAll(async () => {
  harness = await openObserveHarness('policy', 'token');
  ({ pool, forge } = harness);
  project = await insertShop(pool, forge);
  context = harness.context();
});

afterAll(() => harness.close());

const policy = (lines: string) =>
  forge.push('main', { '.bough/config.yaml': `${MANIFEST}previews:\n  access: open\n${lines}` });
async function open(files: Readonly<Record<string, string>> = { 'a.txt': 'a\n' }): Promise<number> {
  const branch = `b-${randomUUID().slice(0, 8)}`;
  await forge.push(branch, { ...files, 'branch.txt': branch });
  return await forge.openPullRequest(branch);
}
/** Looks, and answers what there is then. */
async function look(number: number) {
  const subject = `pull/${number}`;
  await observe(context, observeKey(project.id, subject), new AbortController().signal);
  const row = await findLivingEnvironment(pool, { projectId: project.id, subject });
  return row?.desiredState === 'absent' ? undefined : row;
}
const ask = (number: number, kind: 'open' | 'delete' | 'keep', argument: string | null = null) =>
  insertRequest(pool, { projectId: project.id, subject: `pull/${number}`, kind, argument, askedBy: 'ada' });
const declined = (number: number) => findDeclined(pool, { projectId: project.id, subject: `pull/${number}` });

test('a label makes a preview, and takes it away', async () => {
  await policy('  triggers: { label: preview }\n');
  const number = await open();
  expect(await look(number)).toMatchObject({
    heldReason: expect.stringContaining('"preview"'),
    heldQuiet: true,
  });
  await forge.sandbox.label({ repo, number, label: 'preview', by: 'ann' });
  expect(await look(number)).toMatchObject({ heldReason: null, desiredState: 'running' });
  await forge.sandbox.unlabel({ repo, number, label: 'preview', by: 'ann' });
  expect(await look(number)).toBeUndefined();
  expect((await declined(number))?.reason).toContain('label');
});

test('paths are those of the whole pull request, and never take a preview away', async () => {
  await policy('  triggers:\n    - paths: ["web/**"]\n');
  const other = await open({ 'docs/a.md': 'a\n' });
  expect(await look(other)).toBeUndefined();
  expect((await declined(other))?.reason).toContain('previews.triggers.paths');
  await ask(other, 'open');
  expect(await look(other)).toMatchObject({ heldReason: null });
  expect(await declined(other)).toBeUndefined();

  const number = await open({ 'web/index.html': 'a\n' });
  expect(await look(number)).toMatchObject({ heldReason: null });
  await policy('  triggers:\n    - paths: ["api/**"]\n');
  expect(await look(number)).toMatchObject({ heldReason: null });
  await forge.closePullRequest(number);
  expect(await look(number)).toBeUndefined();
});

test('lazy: it begins asleep, and is as idle and as kept as the policy says', async () => {
  await policy('  lazy: true\n  idle: 30m\n  expires: 14d\n  priorities: { urgent: 7 }\n');
  const number = await open();
  await forge.sandbox.label({ repo, number, label: 'urgent', by: 'ann' });
  expect(await look(number)).toMatchObject({
    desiredState: 'asleep',
    sleepReason: 'it starts on the first visit',
    idleSeconds: 1_800,
    expiresSeconds: 14 * 86_400,
    priority: 7,
  });
  await ask(number, 'keep', '30d');
  const kept = (await look(number))?.keptUntil?.getTime() ?? 0;
  expect(kept - Date.now()).toBeGreaterThan(29 * 86_400_000);
});

test('above the limit one waits, in its place, and gets its turn when another goes', async () => {
  await policy('  limits: { environments: 1000 }\n');
  const made = [await open(), await open()];
  for (const number of made) expect(await look(number)).toMatchObject({ heldReason: null });
  const { rows } = await pool.query<{ count: string }>(
    `select count(*) from environments where removed_at is null and desired_state <> 'absent' and held_reason is null`,
  );
  await policy(`  limits: { environments: ${rows[0]?.count} }\n`);
  const first = await open();
  const second = await open();
  expect(await look(first)).toMatchObject({
    heldReason: expect.stringContaining('it is next'),
    heldQuiet: false,
  });
  expect(await look(second)).toMatchObject({ heldReason: expect.stringContaining('1 wait before it') });
  await forge.closePullRequest(made[0] ?? 0);
  await look(made[0] ?? 0);
  expect(await look(second)).toMatchObject({ heldReason: expect.stringContaining('1 wait before it') });
  expect(await look(first)).toMatchObject({ heldReason: null, waitingSince: null });
});

test('closed is closed, also where the policy cannot be read', async () => {
  await policy('');
  const number = await open();
  expect(await look(number)).toMatchObject({ heldReason: null });
  await forge.closePullRequest(number);
  context = { ...context, directories: { mirrors: '/dev/null/nowhere', dumps: '/dev/null/nowhere' } };
  expect(await look(number)).toBeUndefined();
  expect(await openRequests(pool, { projectId: project.id, subject: `pull/${number}` })).toEqual([]);
});
