import type { Measurement, RehearsalReport, RehearsedStatement } from '@bough/domain/rehearsal';
import { mariadb } from '@bough/service/mariadb/service';
import type { ServiceDeclaration } from '@bough/service/service';
import { createConnection } from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { findSeries, skipNote } from '../../service/test/find-series.ts';
import { createServiceRunner, type ServiceRunner } from '../../service/test/service-runner.ts';
import { measureMariadbMigration } from '../src/mariadb/measure-migration.ts';
import { withSession } from '../src/mariadb/session.ts';
import type { ObservedServer } from '../src/session.ts';
import { judge } from '../src/verdict.ts';

vi.setConfig({ testTimeout: 120_000 });

const { series, why } = await findSeries('mariadb');

describe.skipIf(why !== undefined)(`a migration on MariaDB ${series}${skipNote(why)}`, () => {
  const declaration: ServiceDeclaration = {
    ...{ name: 'database', type: 'mariadb', version: series, configuration: {} },
  };
  const credentials = mariadb.credentials(declaration);
  let runner: ServiceRunner;
  let server: ObservedServer;

  beforeAll(async () => {
    runner = await createServiceRunner();
    const program = mariadb.program(declaration, credentials, 'preview');
    const volume = await runner.volume();
    const { address } = await runner.start({ toolchain: mariadb.toolchain(declaration), program, volume });
    await mariadb.ready(address, credentials, AbortSignal.timeout(60_000));
    await mariadb.provision(declaration, address, credentials);
    server = { ...address, username: credentials.username, password: credentials.password };
    await hook(
      'create table orders (id int primary key, code int not null, note varchar(100) not null)',
      "insert into orders select seq, seq % 1000, concat('a note of some length, number ', seq) from seq_1_to_250000",
      'create table `order-lines` (name varchar(20) primary key, n int)',
      "insert into `order-lines` select concat('line ', seq), seq from seq_1_to_50",
      'analyze table orders, `order-lines` persistent for all',
    );
  }, 120_000);
  afterAll(() => runner.close());

  /** As the application's hook would: an ordinary connection, one text after another. */
  async function hook(...texts: string[]): Promise<void> {
    const { host, port, username, password } = server;
    const connection = await createConnection({
      ...{ host, port, user: username, password: password.reveal(), database: 'main' },
    });
    try {
      for (const text of texts) await connection.query(text);
    } finally {
      await connection.end();
    }
  }

  function measure(...texts: string[]): Promise<Measurement> {
    return measureMariadbMigration({ server, schema: 'main', run: () => hook(...texts) });
  }

  function only(measured: Measurement): RehearsedStatement {
    expect(measured.blind).toEqual([]);
    const [statement] = measured.statements;
    expect(measured.statements).toHaveLength(1);
    if (statement === undefined) throw new Error('no statement');
    return statement;
  }

  function verdict(
    measured: Measurement,
    stallBudgetMs: number,
  ): Pick<RehearsalReport, 'verdict' | 'reasons'> {
    const fine = { verdict: 'pass', note: '' } as const;
    const services = { db: measured };
    return judge({ stallBudgetMs, services, hook: fine, again: fine, previous: fine });
  }

  it('that writes every row anew lets nobody write meanwhile, and the server says as much', async () => {
    const measured = await measure("alter table orders modify code bigint not null comment 'of 4111'");
    const statement = only(measured);
    expect(statement).toMatchObject({
      text: "alter table orders modify code bigint not null comment '…'",
      rewrites: ['orders'],
      lock: { mode: 'SharedNoWrite', table: 'orders' },
    });
    const stall = measured.writeStallMs ?? 0;
    expect(stall).toBeGreaterThan(statement.durationMs * 0.5);
    expect(stall).toBeLessThan(statement.durationMs * 1.5 + 250);
    expect(measured.readStallMs ?? stall).toBeLessThan(stall);
    const told = measured.tables.find(({ table }) => table === 'orders')?.serverWaitMs ?? 0;
    expect(Math.abs(stall - told)).toBeLessThan(stall * 0.25 + 200);
    expect(measured.schema.changed).toMatchObject([{ what: 'column orders.code' }]);
    expect(measured.walBytes).toBeGreaterThan(100_000);
    expect(verdict(measured, stall / 2)).toMatchObject({
      verdict: 'fail',
      reasons: [expect.stringMatching(/^writes of orders would stop for .* because of `alter table orders/)],
    });
    expect(verdict(measured, 600_000)).toEqual({ verdict: 'pass', reasons: [] });
  });

  it('that makes an index online stops nobody', async () => {
    const [copied, online] = [
      await measure('alter table orders add index by_note (note), algorithm = copy'),
      await measure('create index by_code on orders (code, note)'),
    ];
    const stall = copied.writeStallMs ?? 0;
    expect(only(copied).rewrites).toEqual(['orders']);
    expect(only(online)).toMatchObject({ rewrites: [] });
    expect(online.writeStallMs ?? stall).toBeLessThan(stall);
    expect(online.schema).toMatchObject({ added: ['index orders.by_code btree (code, note)'], removed: [] });
    expect(online.pending).toBe(true);
  });

  it('that changes rows holds them until it commits, and only those', async () => {
    const measured = await measure(
      'start transaction',
      "update orders set note = concat(note, ' x') where id <= 100000",
      'select sleep(0.4)',
      'commit',
    );
    const update = measured.statements.find(({ text }) => text.startsWith('update'));
    expect(update).toMatchObject({
      ...{ rows: 100_000, rewrites: [], readStallMs: 0 },
      lock: { mode: 'Rows', table: 'orders' },
    });
    expect(measured.writeStallMs).toBeGreaterThan((update?.durationMs ?? 0) / 2);
    expect(measured.pending).toBe(false);
  });

  it('that only looks is no migration, and the observers leave nothing behind', async () => {
    const measured = await measure(
      'create table if not exists orders (id int)',
      'select count(*) from orders',
    );
    expect(measured).toMatchObject({ pending: false, schema: { added: [], removed: [], changed: [] } });
    expect(measured.tables.map(({ table }) => table)).toEqual(['orders', 'order-lines']);
    expect(measured.tables.every(({ probes }) => probes > 0)).toBe(true);
    expect(verdict(measured, 600_000).verdict).toBe('pass');
    await expect(
      measureMariadbMigration({
        ...{ server, schema: 'main', run: () => Promise.reject(new Error('interrupted')) },
      }),
    ).rejects.toThrow('interrupted');
    await measure('select 1');
    // The server takes a moment to see that a session of ours has ended.
    const left = () =>
      withSession(server, (session) =>
        session.query(
          `select (select count(*) from mysql.slow_log) as logged, @@global.slow_query_log as logs,
             (select count(*) from information_schema.processlist where user = '${server.username}') as sessions`,
        ),
      );
    await expect.poll(left, { timeout: 30_000 }).toEqual([{ logged: 0, logs: 0, sessions: 1 }]);
  });
});
