import { insertSnapshot } from '@bough/store/snapshots';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { withCaptureLock } from '../src/data/golden.ts';
import { reap } from '../src/reap.ts';
import { type Harness, openHarness } from './harness.ts';

let bough: Harness;

beforeEach(async () => {
  bough = await openHarness();
});

afterEach(() => bough.close());

const ensureVolume = (id: string, environmentId: string, kind: 'preview' | 'capture') =>
  bough.context.storage.ensure({
    id,
    labels: { installationId: 'i1', environmentId, name: `${kind}:${id}`, kind },
  });

const volumes = async () => (await bough.context.storage.list()).map(({ id }) => id).sort();

test.each(['capturing', 'captured', 'sanitized', 'verified'])(
  'leaves alone what belongs to a capture that is %s',
  async (state) => {
    const environmentId = await bough.wish(await bough.commit());
    await withCaptureLock(bough.context, environmentId, { wait: AbortSignal.timeout(60_000) }, async () => {
      const of = { environmentId, sanitize: 'none', policyCommit: null, sourceCommit: null };
      const { id } = await insertSnapshot(bough.pool, of);
      await bough.pool.query('update snapshots set state = $2 where id = $1', [id, state]);
      await ensureVolume('i1-s1-capture', environmentId, 'capture');
      for (let listing = 0; listing < 3; listing += 1) await reap(bough.context);
      expect(await volumes()).toEqual(['i1-s1-capture']);
    });
    // Its worker is gone: what it left behind goes too.
    for (let listing = 0; listing < 3; listing += 1) await reap(bough.context);
    expect(await volumes()).toEqual([]);
  },
);

test('one thing that cannot be removed does not keep the others', async () => {
  await ensureVolume('i1-a', '1001', 'preview');
  await ensureVolume('i1-b', '1001', 'preview');
  const { storage } = bough.context;
  const stuck = {
    ...storage,
    remove: async (id: string) => {
      if (id === 'i1-a') throw new Error('EBUSY');
      await storage.remove(id);
    },
  };
  const context = { ...bough.context, storage: stuck };
  for (let listing = 0; listing < 2; listing += 1) await reap(context);
  expect(await volumes()).toEqual(['i1-a']);
});

test('much that no row knows of is left alone, but not what captures left that a row says are over', async () => {
  const environmentId = await bough.wish(await bough.commit());
  const of = { environmentId, sanitize: 'none', policyCommit: null, sourceCommit: null };
  const { id } = await insertSnapshot(bough.pool, of);
  const parts = Array.from({ length: 8 }, (_, part) => `i1-s${id}-part${part}`);
  const strange = Array.from({ length: 8 }, (_, part) => `i1-s999-part${part}`);
  for (const name of strange) await ensureVolume(name, environmentId, 'capture');
  for (let listing = 0; listing < 3; listing += 1) await reap(bough.context);
  expect(await volumes()).toEqual(strange);
  for (const name of strange) await bough.context.storage.remove(name);
  for (const name of parts) await ensureVolume(name, environmentId, 'capture');
  for (let listing = 0; listing < 3; listing += 1) await reap(bough.context);
  expect(await volumes()).toEqual([]);
});
