import { createTestDatabase, type TestDatabase } from '@bough/testkit/test-database';
import type pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createPool } from '../src/database.ts';
import {
  deleteDeliveries,
  type Fate,
  findDelivery,
  findDeliveryByForgeId,
  listDeliveries,
  type NewDelivery,
  receiveDelivery,
  reopenDelivery,
  settleDeliveries,
  settleDelivery,
  unsettledDeliveries,
  unsettledDeliveriesOf,
} from '../src/deliveries.ts';

let database: TestDatabase;
let pool: pg.Pool;

beforeAll(async () => {
  database = await createTestDatabase();
  pool = createPool({ url: database.url, max: 4, applicationName: 'test' });
});

afterAll(async () => {
  await pool.end();
  await database.drop();
});

let counter = 0;
function delivery(over: Partial<NewDelivery> = {}): NewDelivery {
  counter += 1;
  return {
    forge: 'github',
    deliveryId: `d-${counter}`,
    event: 'pull_request',
    action: 'opened',
    repositoryId: 5,
    subjects: ['pull/7'],
    payload: { kind: 'subjects' },
    ...over,
  };
}

test('a new delivery is open, and stored as it came', async () => {
  const given = delivery();
  const received = await receiveDelivery(pool, given);
  expect(received).toMatchObject({ isNew: true, isOpen: true, fate: 'received' });
  const stored = await findDelivery(pool, received.id);
  expect(stored).toMatchObject({ ...given, attempts: 1, fate: 'received', settledAt: null });
  expect(await findDeliveryByForgeId(pool, given)).toEqual(stored);
});

test.each<{ fate: Fate; isOpen: boolean }>([
  { fate: 'received', isOpen: true },
  { fate: 'failed', isOpen: true },
  { fate: 'declined', isOpen: true },
  { fate: 'queued', isOpen: false },
  { fate: 'observed', isOpen: false },
  { fate: 'ignored', isOpen: false },
])('a redelivery of one that is $fate: to be queued is $isOpen', async ({ fate, isOpen }) => {
  const given = delivery();
  const { id } = await receiveDelivery(pool, given);
  if (fate !== 'received') await settleDelivery(pool, id, { fate, reason: 'because' });
  const again = await receiveDelivery(pool, given);
  expect(again).toMatchObject({ id, isNew: false, isOpen });
  const stored = await findDelivery(pool, id);
  expect(stored).toMatchObject({ attempts: 2, fate: isOpen ? 'received' : fate });
  if (isOpen) expect(stored).toMatchObject({ reason: null, settledAt: null });
});

test('of many that come at once with one id, one is new', async () => {
  const given = delivery();
  const all = await Promise.all(Array.from({ length: 12 }, () => receiveDelivery(pool, given)));
  expect(all.filter((received) => received.isNew)).toHaveLength(1);
  expect(new Set(all.map((received) => received.id)).size).toBe(1);
  expect((await findDelivery(pool, all[0]?.id ?? ''))?.attempts).toBe(12);
});

test('text that jsonb cannot hold is stored with a replacement', async () => {
  const payload = { body: 'a\0b \ud800 c \ud83d\ude00', '\\u0000': 'x' };
  const { id } = await receiveDelivery(pool, delivery({ payload }));
  expect((await findDelivery(pool, id))?.payload).toEqual({ body: 'a�b � c 😀', '\\u0000': 'x' });
});

test('what is settled is not settled again, and a replay opens it', async () => {
  const { id } = await receiveDelivery(pool, delivery());
  expect(await settleDelivery(pool, id, { fate: 'queued' })).toBe(true);
  expect((await findDelivery(pool, id))?.settledAt).toBeNull();
  expect(await settleDelivery(pool, id, { fate: 'observed' })).toBe(true);
  // The answer to the webhook may be slower than the worker.
  expect(await settleDelivery(pool, id, { fate: 'queued' })).toBe(false);
  expect(await findDelivery(pool, id)).toMatchObject({ fate: 'observed', settledAt: expect.any(Date) });
  expect(await reopenDelivery(pool, id)).toMatchObject({ fate: 'received', settledAt: null, attempts: 2 });
});

test('the unsettled ones of a subject, and of a time', async () => {
  const mine = { repositoryId: 99, subject: 'pull/1' };
  const { id } = await receiveDelivery(
    pool,
    delivery({ repositoryId: 99, subjects: ['production', 'pull/1'] }),
  );
  await receiveDelivery(pool, delivery({ repositoryId: 99, subjects: ['pull/2'] }));
  const gone = await receiveDelivery(pool, delivery({ repositoryId: 99, subjects: ['pull/1'] }));
  await settleDelivery(pool, gone.id, { fate: 'observed' });
  expect((await unsettledDeliveriesOf(pool, mine)).map((found) => found.id)).toEqual([id]);
  expect((await unsettledDeliveries(pool, new Date())).map((found) => found.id)).toContain(id);
  expect(await unsettledDeliveries(pool, new Date(Date.now() - 60_000))).toEqual([]);
  expect(await settleDeliveries(pool, [id], { fate: 'observed' })).toBe(1);
  expect(await settleDeliveries(pool, [], { fate: 'observed' })).toBe(0);
  expect(await unsettledDeliveriesOf(pool, mine)).toEqual([]);
});

test('lists newest first, by repository, subject and fate, in pages', async () => {
  const ids: string[] = [];
  for (let index = 0; index < 3; index += 1) {
    ids.unshift((await receiveDelivery(pool, delivery({ repositoryId: 123 }))).id);
  }
  const listed = await listDeliveries(pool, { repositoryId: 123, limit: 2 });
  expect(listed.map((found) => found.id)).toEqual(ids.slice(0, 2));
  const before = ids[1];
  const rest = await listDeliveries(pool, { repositoryId: 123, ...(before === undefined ? {} : { before }) });
  expect(rest.map((found) => found.id)).toEqual(ids.slice(2));
  expect(await listDeliveries(pool, { repositoryId: 123, fate: 'failed' })).toEqual([]);
  expect(await listDeliveries(pool, { repositoryId: 123, subject: 'pull/7' })).toHaveLength(3);
});

test('orders by number, not by text: 10 comes after 9', async () => {
  await pool.query('alter table deliveries alter column id restart with 999995');
  const ids: string[] = [];
  for (let index = 0; index < 10; index += 1) {
    ids.push((await receiveDelivery(pool, delivery({ repositoryId: 321, subjects: ['pull/9'] }))).id);
  }
  expect(new Set(ids.map((id) => id.length)).size).toBe(2);
  const unsettled = await unsettledDeliveriesOf(pool, { repositoryId: 321, subject: 'pull/9' });
  expect(unsettled.map((found) => found.id)).toEqual(ids);
  const listed = await listDeliveries(pool, { repositoryId: 321 });
  expect(listed.map((found) => found.id)).toEqual(ids.toReversed());
});

test('forgets settled ones only', async () => {
  const open = await receiveDelivery(pool, delivery());
  const settled = await receiveDelivery(pool, delivery());
  await settleDelivery(pool, settled.id, { fate: 'ignored', reason: 'x' });
  expect(await deleteDeliveries(pool, new Date(Date.now() + 1_000))).toBeGreaterThan(0);
  expect(await findDelivery(pool, settled.id)).toBeUndefined();
  expect(await findDelivery(pool, open.id)).toBeDefined();
});
