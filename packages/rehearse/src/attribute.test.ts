import { expect, test } from 'vitest';
import { attribute, type Observations } from './attribute.ts';
import type { Unit } from './commands.ts';

const orders = {
  ...{ database: 'shop', oid: 7, schema: 'public', name: 'orders', display: 'orders' },
  ...{ rows: 100, bytes: 8192 },
};
const update: Unit = {
  ...{
    pid: 1,
    from: 100,
    to: 400,
    sql: 'update orders set note = 1',
    database: 'shop',
    changesSchema: false,
  },
  ...{ rewrites: [], locks: [[7, 'RowExclusiveLock']] },
};
const index: Unit = {
  ...{ pid: 1, from: 401, to: 900, sql: 'create index on customers (email)', database: 'shop' },
  ...{ changesSchema: true, rewrites: [], locks: [[8, 'ShareLock']] },
};

function seenAt(lockFrom: number, units: readonly Unit[]): Observations {
  return {
    units,
    samples: {
      holds: [{ pid: 1, database: 5, relation: 7, mode: 'RowExclusiveLock', from: lockFrom, to: 900 }],
      walAt: () => 0,
    },
    waits: [],
    probes: [],
    tables: [orders],
    databases: new Map([[5, 'shop']]),
    before: new Map([[orders, { bytes: 8192, changedRows: 0 }]]),
    after: new Map([[orders, { bytes: 8192, changedRows: 60 }]]),
  };
}

const rowsOf = (seen: Observations) =>
  Object.fromEntries(attribute(seen).statements.map(({ text, rows }) => [text.split(' ')[0], rows]));

test.each([
  ['while it was taken', 200],
  ['just before the next statement', 399],
  ['just after the next one began', 405],
  ['long after, by a sampler that came late', 700],
])('a lock that is seen %s is of the statement that took it', (_, lockFrom) => {
  expect(rowsOf(seenAt(lockFrom, [update, index]))).toEqual({ update: 60, create: null });
});

test('a lock that another statement may have taken is not of one long before it', () => {
  const other: Unit = { ...update, from: 600, to: 800, locks: undefined, sql: 'delete from orders' };
  expect(rowsOf(seenAt(700, [update, index, other]))).toEqual({ update: null, create: null, delete: null });
});
