import { randomBytes } from 'node:crypto';
import { type TextRule, textRules } from '@bough/manifest/sanitize-policy';
import { mariadb } from '@bough/service/mariadb/service';
import type { ServiceDeclaration } from '@bough/service/service';
import { waitFor } from '@bough/testkit/wait-for';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { findSeries, skipNote } from '../../service/test/find-series.ts';
import {
  createServiceRunner,
  type RunningService,
  type ServiceRunner,
} from '../../service/test/service-runner.ts';
import { maskText } from '../src/mariadb/mask-text.ts';
import { permute } from '../src/mariadb/permute.ts';
import { sanitizeInto } from '../src/mariadb/sanitize-into.ts';
import { withSession } from '../src/mariadb/session.ts';
import { literal } from '../src/quote.ts';
import { scanFiles } from '../src/scan-files.ts';
import { withSession as withPostgres } from '../src/session.ts';
import { customerColumns } from './customer-columns.ts';
import { policyOf } from './policies.ts';
import { startTestServer } from './private-server.ts';

vi.setConfig({ testTimeout: 180_000 });

const key = Buffer.alloc(32, 7);
const secret = `zq${randomBytes(5).toString('hex')}`;
const { series, why } = await findSeries('mariadb');
const soon = () => AbortSignal.timeout(150_000);
const rows = 300;

/** Everything that a schema can hold which masking has to do with. */
const schema = `
  create table customers (
    id bigint unsigned primary key auto_increment, email varchar(120) not null unique, name varchar(80) not null,
    phone varchar(30), iban varchar(34) unique, card char(19), ip varchar(45), town varchar(40) character set latin1,
    code char(32) unique, doc json, raw blob, token uuid not null default uuid(), born date, mood enum('good', 'bad') comment 'ask ${secret}@corp.de',
    active tinyint(1) default 1, notes mediumtext, balance decimal(12,2), ratio float, place point, flags bit(4),
    label varchar(200) generated always as (concat(name, ' of ', town)) stored, key (label),
    seen timestamp null, odd date) auto_increment = 5000;
  create table orders (
    id int primary key, customer_id bigint unsigned not null, customer_email varchar(120), total decimal(10,2) check (total >= 0),
    foreign key (customer_id) references customers (id), foreign key (customer_email) references customers (email));
  create table gone (id int primary key, note text);
  create table log (id int primary key, line text) engine = Aria;
  create table \`odd \`\`name\` (\`a key\` int primary key);
  create sequence tickets start with 17;
  create view z_names as select id, name from customers;
  create view a_names as select id, name from z_names;
  create trigger stamp before insert on orders for each row set new.total = new.total + 1;
  create function twice(n int) returns int deterministic return n * 2;
  create event mailer on schedule every 1 day do delete from log;
  create database stock;
  create table stock.pots (id int primary key auto_increment, name varchar(20) charset utf8mb4, ref int unique)`;
const data = `
  insert into customers (email, name, phone, iban, card, ip, town, code, doc, raw, born, mood, notes, balance, ratio, place, flags, seen, odd)
    select concat('${secret}-', seq, '@Corp.de'), concat('${secret} Persön ', seq), concat('+49 30 ', 1000000 + seq),
      concat('DE8937040044', lpad(seq, 10, '0')), '4111111111111111', concat('10.1.2.', seq % 250), 'Köln', md5(seq),
      json_object('contact', json_object('email', concat('${secret}', seq, '@corp.de')), 'tags', json_array('a', seq), 'big', 12345678901234567890),
      concat('${secret}-raw-', seq), date '1980-01-01' + interval seq day, 'good', repeat('private ${secret} words 🚪 ', 20),
      seq + 0.25, 1.1, point(seq, 2), b'0101', '2020-02-02 02:02:02', if(seq % 9 = 0, '0000-00-00', '2000-01-31')
    from seq_1_to_${rows};
  insert into orders (id, customer_id, customer_email, total)
    select id, id, upper(email), 1 from customers;
  insert into gone select seq, concat('${secret}-gone-', seq) from seq_1_to_200;
  delete from gone where id > 100;
  insert into log select seq, concat('${secret}-log-', seq) from seq_1_to_200;
  insert into stock.pots (name, ref) select concat('pot ', seq), seq * 10 from seq_1_to_20;
  update customers set name = concat(name, ' b') where id % 2 = 0;
  analyze table customers persistent for all`;

const policy = policyOf(
  {
    customers: {
      columns: {
        ...customerColumns,
        token: 'uuid',
        raw: 'hash',
        notes: 'free-text',
        place: 'null',
        flags: { rule: 'keep', reason: 'four switches', allow: [] },
        born: { rule: 'date-shift', days: 30 },
        doc: { rule: 'json', paths: { 'contact.email': 'email' }, keepRest: 'tags of our own' },
      },
    },
    gone: { columns: { note: 'null' } },
    log: 'truncate',
    'stock/pots': { columns: { name: 'free-text', ref: 'permuted-id' }, where: 'id <= 10' },
  },
  { comments: 'drop' },
);

describe.skipIf(why !== undefined)(`sanitizing a MariaDB ${series}${skipNote(why)}`, () => {
  const declaration: ServiceDeclaration = {
    ...{ name: 'database', type: 'mariadb', version: series, configuration: {} },
  };
  const credentials = mariadb.credentials(declaration);
  let runner: ServiceRunner;
  let source: RunningService;
  let sourceVolume: string;

  beforeAll(async () => {
    runner = await createServiceRunner();
    sourceVolume = await runner.volume();
    source = await start(sourceVolume);
    await run(source, `${schema};\n${data}`);
  });
  afterAll(() => runner.close());

  async function start(volume: string): Promise<RunningService> {
    const program = mariadb.program(declaration, credentials, 'capture');
    const server = await runner.start({ toolchain: mariadb.toolchain(declaration), program, volume });
    await mariadb.ready(server.address, credentials, AbortSignal.timeout(60_000));
    await mariadb.provision(declaration, server.address, credentials);
    return server;
  }
  const serverOf = (server: RunningService) => ({
    ...server.address,
    ...{ username: credentials.username, password: credentials.password },
  });
  async function run(server: RunningService, script: string): Promise<void> {
    await withSession(serverOf(server), soon(), async (session) => {
      await session.execute('use main');
      for (const sql of script.split(';\n')) await session.execute(sql);
    });
  }
  /** A scan of files sees what has been written to them, which a busy machine does late. */
  async function writeAllPages(server: RunningService): Promise<void> {
    await run(
      server,
      'set global innodb_max_dirty_pages_pct_lwm = 0;\nset global innodb_max_dirty_pages_pct = 0',
    );
    const dirty = `select variable_value as pages from information_schema.global_status where variable_name = 'innodb_buffer_pool_pages_dirty'`;
    await waitFor('every page to be in the files', async () => (await ask(server, dirty))[0]?.pages === '0', {
      timeoutMs: 120_000,
    });
  }
  /** Rows with every value as text. */
  const ask = (server: RunningService, sql: string) =>
    withSession(serverOf(server), soon(), async (session) => {
      await session.execute('use main');
      const found = await session.query<Record<string, unknown>>(sql);
      return found.map((row) =>
        Object.fromEntries(Object.entries(row).map(([name, value]) => [name, String(value)])),
      );
    });
  const sanitize = (target: RunningService, with_ = policy) =>
    sanitizeInto({
      source: serverOf(source),
      target: serverOf(target),
      policy: with_,
      key,
      signal: soon(),
      line: () => {},
    });

  it('decides nothing by itself: each column without a rule is a finding with a rule to paste', async () => {
    const result = await sanitize(source, policyOf({}, { kept: [] }));
    if (result.kind !== 'findings') throw new Error('it went through');
    const found = new Map(result.findings.map(({ where, paste }) => [where, paste]));
    expect(found.get('customers.email')).toBe('tables:\n  customers:\n    email: email');
    expect(found.get('stock/pots.name')).toContain('stock/pots');
    expect(found.has('customers.label')).toBe(false);
    expect(found.size).toBe(22 + 4 + 2 + 2 + 1 + 3);
  });

  it('writes it anew, masked: joins, keys, formats and programs survive, and no byte of production', async () => {
    const volume = await runner.volume();
    const target = await start(volume);
    await writeAllPages(source);
    const raw = await scanFiles(sourceVolume, [secret], soon());
    // Rows, the rows of deleted ones, undo and redo log, statistics: this scan can fail.
    expect(raw.count).toBeGreaterThan(5_000);
    expect(raw.hits).toEqual(expect.arrayContaining([expect.stringContaining('ib_logfile0')]));
    const counter = await ask(
      source,
      `select auto_increment as next from information_schema.tables where table_name = 'customers'`,
    );
    const result = await sanitize(target);
    if (result.kind === 'findings') expect(result.findings).toEqual([]);
    else
      expect(result.report).toMatchObject({ tables: 6, rows: 2 * rows + 100 + 10, tablesWithoutCanary: 0 });

    const [counted] = await ask(
      target,
      `select count(*) as n, count(distinct email) as emails, sum(email like 'u%@example.test') as ours,
         sum(iban like 'LC%' and length(iban) = 32) as ibans, sum(ip like '198.18.%') as ips, count(place) as places,
         sum(ratio > 1.09 and ratio < 1.11) as ratios, sum(balance) as balance, sum(label = concat(name, ' of ', town)) as labels,
         sum(flags = b'0101') as flags, sum(json_value(doc, '$.contact.email') like '%@example.test') as docs,
         sum(json_value(doc, '$.big') = '12345678901234567890') as big, min(seen) as seen, sum(odd = '0000-00-00') as odd,
         max(id) as top from customers`,
    );
    const all = String(rows);
    expect(counted).toMatchObject({
      ...{ emails: all, ours: all, ibans: all, ips: all, places: '0', ratios: all, labels: all, flags: all },
      ...{ docs: all, big: all, seen: '2020-02-02 02:02:02', odd: String(Math.floor(rows / 9)) },
      ...{ balance: ((rows * (rows + 1)) / 2 + rows * 0.25).toFixed(2), n: all },
    });
    const [joined] = await ask(
      target,
      'select count(*) as n, sum(o.total) as total from orders o join customers c on c.id = o.customer_id and c.email = o.customer_email',
    );
    expect(joined).toEqual({ n: all, total: `${rows * 2}.00` });
    const [born] = await ask(
      target,
      `select sum(abs(datediff(born, date '1980-01-01' + interval (id - 4999) day)) between 1 and 30) as n from customers`,
    );
    expect(born).toEqual({ n: all });
    expect(
      await ask(
        target,
        'select count(*) as n, count(distinct ref) as refs, max(ref) < 256 as low from stock.pots',
      ),
    ).toEqual([{ n: '10', refs: '10', low: '1' }]);
    expect(await ask(target, 'select count(*) as n from log')).toEqual([{ n: '0' }]);
    expect(await ask(target, 'select count(*) as n from a_names')).toEqual([{ n: all }]);
    expect(await ask(target, 'select twice(4) as n, nextval(tickets) as ticket')).toEqual([
      { n: '8', ticket: '17' },
    ]);
    expect(await ask(target, 'show create table `odd ``name`')).toHaveLength(1);
    await run(target, `insert into orders (id, customer_id, total) values (9999, ${counted?.top}, 1)`);
    expect(await ask(target, 'select total from orders where id = 9999')).toEqual([{ total: '2.00' }]);
    await run(target, `insert into customers (email, name) values ('x', 'y')`);
    expect(await ask(target, 'select max(id) as next from customers')).toEqual(counter);

    expect(await target.stop()).toBe(0);
    const needles = [secret, ...(result.kind === 'sanitized' ? result.needles : [])];
    expect(needles.length).toBeGreaterThan(50);
    const clean = await scanFiles(volume, needles, soon());
    expect(clean.hits).toEqual([]);
    expect(clean.count).toBe(0);
    expect(clean.bytes).toBeGreaterThan(10_000_000);
  });

  it('finds what rules let through, and fails without a value in its words', async () => {
    await run(
      source,
      `create table leaks (id int primary key, memo varchar(100), iban varchar(40), tiny varchar(12) unique);
       insert into leaks values (1, 'write to ${secret}@corp.de', 'DE89 3704 0044 0532 0130 00', 'x1')`,
    );
    const keep = { rule: 'keep', reason: 'we think so', allow: [] } as const;
    const tables = (tiny: 'token') => [
      ...policy.tables,
      ...policyOf({ leaks: { columns: { memo: keep, iban: keep, tiny } } }).tables,
    ];
    const target = await start(await runner.volume());
    const short = await sanitize(target, { ...policy, tables: tables('token') });
    expect(short).toMatchObject({ findings: [{ code: 'too-short', where: 'leaks.tiny' }] });
    const empty = policyOf({ leaks: { columns: { memo: 'null', iban: 'null', tiny: keep } } }).tables;
    const loose = { ...policy, comments: 'keep' as const, tables: [...policy.tables, ...empty] };
    expect(await sanitize(target, loose)).toMatchObject({
      findings: [{ where: 'comment customers', paste: 'comments: drop' }],
    });
    const kept = policyOf({ leaks: { columns: { memo: keep, iban: keep, tiny: keep } } }).tables;
    const found = await sanitize(target, { ...policy, tables: [...policy.tables, ...kept] });
    if (found.kind !== 'findings') throw new Error('it went through');
    expect(found.findings.map(({ where }) => where).sort()).toEqual(['leaks.iban', 'leaks.memo']);
    expect(JSON.stringify(found.findings)).not.toContain(secret);
    const collapse = policyOf({
      leaks: { columns: { memo: 'null', iban: 'null', tiny: { rule: 'sql', expression: 'no_such_column' } } },
    }).tables;
    const again = await start(await runner.volume());
    await expect(
      sanitize(again, { ...policy, tables: [...policy.tables, ...collapse] }),
    ).rejects.toMatchObject({
      code: 'sanitize-failed',
      message: expect.stringContaining('no_such_column'),
    });
  });
});

it('masks the same value as PostgreSQL does, under the same key', async () => {
  const postgres = await startTestServer();
  try {
    const values = [
      'Ada@corp.de',
      '+49 (0)30 12-34',
      'DE89370400440532013000',
      '10.0.0.1',
      '2001:db8::1',
      'Room 1a',
      '+1.555.010-9999',
      '(030) 12/34',
      'x'.repeat(700),
      '',
    ];
    await withPostgres(postgres.server, { database: 'postgres', key, signal: soon() }, async (client) => {
      const theirs = async (rule: TextRule, value: string, unique: boolean) => {
        const name = unique ? 'bough_unique_text' : 'bough_text';
        const text = `select pg_temp.${name}(${literal(rule)}, 'd', ${literal(value)}) as v`;
        return (await client.query<{ v: string }>(text)).rows[0]?.v;
      };
      for (const rule of textRules) {
        for (const value of values) {
          for (const unique of rule === 'card' ? [false] : [false, true]) {
            const ours = maskText({ rule, domain: 'd', key, unique, maxLength: null }, value);
            expect([rule, value, unique, ours]).toEqual([
              rule,
              value,
              unique,
              await theirs(rule, value, unique),
            ]);
          }
        }
      }
      for (let n = 0n; n < 64n; n += 1n) {
        const { rows: found } = await client.query<{ v: string }>(
          `select pg_temp.bough_permute('d', ${n}, 64)::text as v`,
        );
        expect(String(permute(key, 'd', n, 64n))).toBe(found[0]?.v);
      }
    });
  } finally {
    await postgres.remove();
  }
});
