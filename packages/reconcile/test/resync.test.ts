import type { Forge } from '@bough/forge/forge';
import { listDeliveries, receiveDelivery } from '@bough/store/deliveries';
import { insertProject, removeProject } from '@bough/store/projects';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { observe, observeKey } from '../src/observe.ts';
import { pollAll } from '../src/resync.ts';
import { type Harness, openHarness } from './harness.ts';

let bough: Harness;
const never = new AbortController().signal;

beforeEach(async () => {
  bough = await openHarness();
});

afterEach(() => bough.close());

test('a repository that cannot be polled does not keep the next from being polled', async () => {
  await insertProject(bough.pool, {
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
  const listed: number[] = [];
  const listOpen: Forge['listOpen'] = async ({ id }) => {
    listed.push(id);
    if (id === 1) throw new Error('404');
    return { pulls: [] };
  };
  await pollAll({ ...bough.context, forge: () => ({ listOpen }) as unknown as Forge }, never);
  expect(listed).toEqual([1, 2]);
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
