import type { Measurement, RehearsalReport, RehearsedStatement } from '@bough/domain/rehearsal';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { measureMigration } from '../src/measure-migration.ts';
import { judge } from '../src/verdict.ts';
import { type RehearsalServer, startRehearsalServer } from './rehearsal-server.ts';

let server: RehearsalServer;

/** Costly enough to take hundreds of milliseconds on any machine, so that a stall is not to be mistaken for noise. */
const digest = 'md5(md5(md5(note)))';

beforeAll(async () => {
  server = await startRehearsalServer();
  await server.run('postgres', 'create database shop', 'create database reports');
  await server.run(
    'shop',
    'create table orders (id int primary key, code int not null, note text not null)',
    "insert into orders select n, n % 1000, 'a note of some length, as there are many' from generate_series(1, 240000) n",
    'create table customers (id int generated always as identity primary key, email text)',
    "insert into customers (email) select n || '@example.test' from generate_series(1, 100) n",
    'vacuum analyze',
  );
});
afterAll(() => server.remove());

function measure(...texts: string[]): Promise<Measurement> {
  return measureMigration({
    server: server.server,
    databases: ['shop', 'reports'],
    hottest: ['public.orders'],
    log: server.log,
    run: async () => {
      await server.run('shop', ...texts);
    },
  });
}

function only(measured: Measurement): RehearsedStatement {
  expect(measured.blind).toEqual([]);
  expect(measured.statements).toHaveLength(1);
  const [statement] = measured.statements;
  if (statement === undefined) throw new Error('no statement');
  return statement;
}

const fine = { verdict: 'pass', note: '' } as const;
function verdict(measured: Measurement, stallBudgetMs: number): Pick<RehearsalReport, 'verdict' | 'reasons'> {
  const services = { db: measured };
  return judge({ stallBudgetMs, services, hook: fine, again: fine, previous: fine });
}

/** The probes' stall, the sampled lock and the server's own log tell of one and the same wait. */
function expectAgreement(measured: Measurement, kind: 'readStallMs' | 'writeStallMs'): void {
  const stall = measured[kind] ?? 0;
  const held = only(measured).lock?.heldMs ?? 0;
  const told = measured.tables.find(({ table }) => table === 'orders')?.serverWaitMs ?? 0;
  expect(stall).toBeGreaterThan(100);
  expect(stall).toBeLessThan(held * 1.2 + 250);
  expect(stall).toBeGreaterThan(held * 0.5);
  expect(Math.abs(stall - told)).toBeLessThan(stall * 0.25 + 200);
}

describe('what visitors would feel', () => {
  test('of a rewrite: nobody reads, nobody writes', async () => {
    const measured = await measure(
      `alter table orders alter code type bigint using (code + length(${digest}) * 0)`,
    );
    const statement = only(measured);
    expect(statement).toMatchObject({
      rewrites: ['orders'],
      lock: { mode: 'AccessExclusive', table: 'orders' },
      rows: 240_000,
    });
    expectAgreement(measured, 'readStallMs');
    expectAgreement(measured, 'writeStallMs');
    expect(statement.walBytes).toBeGreaterThan(0);
    expect(measured.schema.changed).toEqual([
      { what: 'column orders.code', before: 'integer not null', after: 'bigint not null' },
    ]);
    expect(measured.pending).toBe(true);
    const { verdict: said, reasons } = verdict(measured, 100);
    expect(said).toBe('fail');
    expect(reasons.join()).toMatch(
      /reads of orders would stop for .* because of `alter table orders alter code type bigint/,
    );
    expect(verdict(measured, 600_000)).toEqual({ verdict: 'pass', reasons: [] });
  });

  test('of an index: nobody writes; of one that is made concurrently: nothing', async () => {
    const locking = await measure(`create index by_digest on orders (${digest})`);
    expect(only(locking)).toMatchObject({ rewrites: [], lock: { mode: 'Share', table: 'orders' } });
    expectAgreement(locking, 'writeStallMs');
    const stall = locking.writeStallMs ?? 0;
    expect(locking.readStallMs ?? stall).toBeLessThan(stall / 3);

    const concurrent = await measure(`create index concurrently by_digest_too on orders (${digest})`);
    expect(only(concurrent).lock).toMatchObject({ mode: 'ShareUpdateExclusive', table: 'orders' });
    expect(concurrent.writeStallMs ?? stall).toBeLessThan(stall / 3);
    expect(concurrent.schema.added.join()).toContain('index by_digest_too');

    expect(verdict(locking, stall / 2).verdict).toBe('fail');
    expect(verdict(concurrent, stall / 2).verdict).toBe('pass');
  });

  test('of a check: as long as it looks at every row; not of one that is not validated', async () => {
    const validated = await measure(`alter table orders add constraint fine check (${digest} <> '')`);
    expect(only(validated)).toMatchObject({ rewrites: [], lock: { mode: 'AccessExclusive' } });
    expectAgreement(validated, 'readStallMs');
    const stall = validated.readStallMs ?? 0;

    const later = await measure(`alter table orders add constraint later check (${digest} <> '') not valid`);
    expect(only(later).lock).toMatchObject({ mode: 'AccessExclusive', table: 'orders' });
    expect(later.readStallMs ?? stall).toBeLessThan(stall / 3);
    expect(later.schema.added).toEqual([
      "constraint orders.later CHECK ((md5(md5(md5(note))) <> '…'::text)) NOT VALID",
    ]);

    expect(verdict(validated, stall / 2).verdict).toBe('fail');
    expect(verdict(later, stall / 2).verdict).toBe('pass');
  });

  test('of a batch: each command has its own line, and the lock of the first is held to the end', async () => {
    const measured = await measure(
      `alter table customers add note text default 'x; y';
       update orders set note = md5(repeat(note, 50)) where id % 4 = 0;
       create index on customers (email)`,
    );
    expect(measured.blind).toEqual([]);
    expect(measured.statements.map(({ text }) => text)).toEqual([
      "alter table customers add note text default '…'",
      'update orders set note = md5(repeat(note, 50)) where id % 4 = 0',
      'create index on customers (email)',
    ]);
    const [alter, update] = measured.statements;
    expect(update?.lock).toMatchObject({ mode: 'RowExclusive', table: 'orders' });
    expect(update?.rows).toBe(60_000);
    // It took milliseconds, and its lock waited for the update: readers of customers did so too.
    expect(alter?.lock).toMatchObject({ mode: 'AccessExclusive', table: 'customers' });
    expect(alter?.durationMs).toBeLessThan(update?.durationMs ?? 0);
    expect(alter?.readStallMs).toBeGreaterThan((update?.durationMs ?? 0) / 2);
    expect(measured.tables.find(({ table }) => table === 'orders')?.readStallMs).toBeLessThan(
      alter?.readStallMs ?? 0,
    );
  });
});

test('an index that is left behind invalid fails, whatever the stalls', async () => {
  const measured = await measureMigration({
    server: server.server,
    databases: ['shop'],
    hottest: [],
    log: server.log,
    run: async () => {
      await server.run('shop', "update customers set email = 'same' where id < 3");
      await server
        .run('shop', 'create unique index concurrently unique_email on customers (email)')
        .catch(() => {});
    },
  });
  expect(measured.invalidIndexes).toEqual(['index unique_email']);
  expect(verdict(measured, 600_000)).toEqual({
    verdict: 'fail',
    reasons: ['index unique_email is left behind and is not valid'],
  });
});

test('a hook that only looks has nothing pending, and the observers leave nothing behind', async () => {
  const measured = await measure('create table if not exists customers ()', 'select count(*) from orders');
  expect(measured).toMatchObject({
    pending: false,
    schema: { added: [], removed: [], changed: [], leftOut: 0 },
  });
  expect(verdict(measured, 600_000).verdict).toBe('pass');
  const results = await server.run(
    'shop',
    "select (select count(*)::int from pg_event_trigger) as triggers, (select count(*)::int from pg_namespace where nspname like 'bough%') as schemas",
  );
  expect(results[0]?.rows).toEqual([{ triggers: 0, schemas: 0 }]);
});

test('what the migration throws is passed on when the observers are gone', async () => {
  const failure = new Error('the hook was interrupted');
  await expect(
    measureMigration({
      server: server.server,
      databases: ['shop'],
      hottest: [],
      log: server.log,
      run: () => Promise.reject(failure),
    }),
  ).rejects.toBe(failure);
  const results = await server.run(
    'shop',
    "select count(*)::int as count from pg_stat_activity where application_name = 'bough rehearsal'",
  );
  expect(results[0]?.rows).toEqual([{ count: 0 }]);
});
