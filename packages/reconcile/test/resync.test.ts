import { systemClock } from '@bough/domain/clock';
import type { Forge } from '@bough/forge/forge';
import { listDeliveries, receiveDelivery } from '@bough/store/deliveries';
import { insertProject, removeProject } from '@bough/store/projects';
import { writeAsleep } from '@bough/store/sleep';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { observe, observeKey } from '../src/observe.ts';
import { pollAll, resync } from '../src/resync.ts';
import { type Harness, MANIFEST, openHarness } from './harness.ts';

let bough: Harness;
const never = new AbortController().signal;

beforeEach(async () => {
  bough = await openHarness();
});

afterEach(() => bough.close());

function insertSecond() {
  return insertProject(bough.pool, {
    installationId: 'i1',
    forge: 'github',
    forgeHost: 'github.com',
    repositoryId: 2,
    owner: 'acme',
    name: 'second',
    slug: 'second',
    defaultBranch: 'main',
    production: 'external',
    intake: 'poll',
  });
}

test.each(['resync', 'poll'])(
  '%s: a repository whose forge does not answer keeps no other waiting',
  async (kind) => {
    await insertSecond();
    let answer = () => {};
    const answered = new Promise<void>((resolve) => {
      answer = resolve;
    });
    const listOpen: Forge['listOpen'] = async ({ id }) => {
      if (id === 1) await answered;
      else answer();
      return { pulls: [] };
    };
    const readBranch = async () => 'gone';
    const newestComment = async () => 'none';
    const forge = () => ({ host: 'github.com', listOpen, readBranch, newestComment }) as unknown as Forge;
    const clock = { ...systemClock, after: (_: number, run: () => void) => systemClock.after(1, run) };
    const context = { ...bough.context, forge, clock };
    await (kind === 'poll' ? pollAll(context, never) : resync(context, { thorough: false, signal: never }));
    await answered;
  },
);

test('a repository that cannot be polled does not keep the next from being polled', async () => {
  await insertSecond();
  const listed: number[] = [];
  const listOpen: Forge['listOpen'] = async ({ id }) => {
    listed.push(id);
    if (id === 1) throw new Error('404');
    return { pulls: [] };
  };
  const read: number[] = [];
  const newestComment: Forge['newestComment'] = async ({ id }) => {
    read.push(id);
    return 'none';
  };
  await pollAll({ ...bough.context, forge: () => ({ listOpen, newestComment }) as unknown as Forge }, never);
  expect(listed).toEqual([1, 2]);
  expect(read).toEqual([1, 2]);
});

test.each([
  ['of a project that is one no more', 'pull/7', true],
  ['of a subject that is none', `branch/${'x'.repeat(300)}`, false],
])('a delivery %s is settled, not queued for ever', async (_, subject, isRemoved) => {
  const delivery = { forge: 'github', deliveryId: 'd1', event: 'push', action: null, payload: {} };
  await receiveDelivery(bough.pool, { ...delivery, repositoryId: 1, subjects: [subject] });
  if (isRemoved) await removeProject(bough.pool, bough.projectId);
  await observe(bough.context, observeKey(bough.projectId, subject), never);
  expect((await listDeliveries(bough.pool))[0]).toMatchObject({
    fate: 'declined',
    reason: expect.stringContaining(isRemoved ? 'not a project' : 'no environment'),
  });
});

describe('which of the settled environments it looks at', () => {
  async function looked(): Promise<number> {
    let count = 0;
    bough.onEnqueue = (queue) => {
      if (queue === 'reconcile') count += 1;
    };
    await resync(bough.context, { thorough: false, signal: never });
    bough.onEnqueue = () => {};
    return count;
  }

  test('the one beside whose release an earlier one still runs', async () => {
    const id = await bough.wish(await bough.commit({ 'a.txt': '1' }));
    await bough.look(id);
    const { engine } = bough;
    // The worker dies before it stops what the new release has replaced.
    const remove = async () => {
      throw new Error('it died');
    };
    Object.assign(bough.context, { engine: { ...engine, remove } });
    await bough.wish(await bough.commit({ 'a.txt': '2' }));
    await bough.look(id);
    Object.assign(bough.context, { engine });
    expect(await bough.running(id)).toHaveLength(2);
    expect(await looked()).toBe(1);
    await bough.look(id);
    expect(await bough.running(id)).toEqual([(await bough.row(id)).releaseDeploymentId]);
    expect(await looked()).toBe(0);
  });

  test('not the one that sleeps, also when its last deployment failed', async () => {
    const id = await bough.wish(await bough.commit({ 'a.txt': '1' }));
    await bough.look(id);
    await bough.wish(await bough.commit({ '.bough/config.yaml': MANIFEST.replace('echo built', 'exit 1') }));
    await bough.look(id);
    const { generation, lastRequestAt } = await bough.row(id);
    await writeAsleep(bough.pool, { environmentId: id, generation, lastRequestAt, reason: 'it is idle' });
    await bough.look(id);
    expect(await bough.row(id)).toMatchObject({ desiredState: 'asleep', failure: { code: 'build-failed' } });
    expect(await looked()).toBe(0);
  });
});
