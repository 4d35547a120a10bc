import { createHmac } from 'node:crypto';
import type { ColumnRule, SanitizePolicy } from '@bough/manifest/sanitize-policy';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { sanitizeCluster } from '../src/sanitize-cluster.ts';
import { customerColumns } from './customer-columns.ts';
import { policyOf } from './policies.ts';
import { startTestServer, type TestServer } from './private-server.ts';

const key = Buffer.alloc(32, 7);

vi.setConfig({ testTimeout: 180_000 });

describe('sanitizing a PostgreSQL', () => {
  let postgres: TestServer;
  let databases = 0;

  beforeAll(async () => {
    postgres = await startTestServer();
  });
  afterAll(() => postgres.remove());

  /** A database of its own for one test; dropped afterwards, because the next run would find it. */
  async function inDatabase<Result>(
    schema: string,
    work: (name: string) => Promise<Result>,
  ): Promise<Result> {
    databases += 1;
    const name = databases === 1 ? 'main' : `main${databases}`;
    await postgres.query('postgres', `create database ${name}`);
    try {
      await postgres.query(name, schema);
      return await work(name);
    } finally {
      await postgres.query('postgres', `drop database ${name} with (force)`);
    }
  }
  const sanitize = (policy: SanitizePolicy) =>
    sanitizeCluster({
      server: postgres.server,
      policy,
      key,
      signal: AbortSignal.timeout(150_000),
      line: () => {},
    });

  it('masks every type it can, and joins, unique keys and formats survive', async () => {
    await inDatabase(
      `create extension if not exists citext;
       create domain email_address as citext check (value ~ '@');
       create type mood as enum ('good', 'bad');
       create table customers (
         id bigint generated always as identity primary key, email email_address not null unique, name text not null,
         phone varchar(30), iban varchar(34) unique, card varchar(19), ip inet, town text, code char(32) unique,
         tags text[], doc jsonb, raw bytea, key uuid not null default gen_random_uuid(), born date, mood mood,
         active boolean default true, notes text, full_text text generated always as (name || ' ' || town) stored);
       create index on customers (lower(name));
       create table orders (id int primary key, customer_id bigint not null references customers, customer_email email_address references customers (email),
         ref int not null unique, total numeric not null check (total >= 0));
       create table lines (order_ref int references orders (ref), product text, quantity int, primary key (order_ref, product));
       insert into customers (email, name, phone, iban, card, ip, town, code, tags, doc, raw, born, mood, notes)
         select 'Real' || i || '@Real-Mail.de', 'Person ' || i, '+49 30 ' || (1000000 + i), 'DE8937040044' || lpad(i::text, 10, '0'),
           '4111111111111111', ('10.1.2.' || i % 250)::inet, 'Berlin', md5(i::text), array['vip' || i, 'call +49 170 1234567'],
           jsonb_build_object('contact', jsonb_build_object('email', 'real' || i || '@real-mail.de'), 'tags', jsonb_build_array('a', i)),
           convert_to('secret ' || i, 'UTF8'), date '1980-01-01' + i, 'good', repeat('private words ', 20)
         from generate_series(1, 300) i;
       insert into orders select i, i, 'real' || i || '@real-mail.de', 1000 + i, i from generate_series(1, 300) i;
       insert into lines select 1000 + i, p, 1 from generate_series(1, 300) i, unnest(array['a', 'b']) p;`,
      async (name) => {
        const result = await sanitize(
          policyOf({
            '*/customers': {
              columns: {
                ...customerColumns,
                tags: 'free-text',
                raw: 'hash',
                key: 'uuid',
                born: { rule: 'date-shift', days: 30 },
                notes: 'null',
                doc: { rule: 'json', paths: { 'contact.email': 'email', 'tags.*': 'keep' }, keepRest: null },
              },
            },
            '*/orders': { columns: { ref: 'permuted-id' } },
            '*/lines': { columns: { product: { rule: 'keep', reason: 'product names', allow: [] } } },
          }),
        );
        if (result.kind === 'findings') expect(result.findings).toEqual([]);
        const [all] = await postgres.query<Record<string, string>>(
          name,
          `select count(*) n, count(distinct email) emails, count(distinct iban) ibans, count(distinct code) codes,
             count(*) filter (where email ~ '^u[0-9a-f]{16}@example\\.test$') shaped,
             count(*) filter (where phone ~ '^\\+[0-9]{2} [0-9]{2} [0-9]{7}$') phones,
             count(*) filter (where ip << '198.18.0.0/15') ips, count(*) filter (where card ~ '^400000[0-9]{10}$') cards,
             count(*) filter (where full_text = name || ' ' || town) generated,
             count(*) filter (where doc #>> '{contact,email}' = email::text and doc #>> '{tags,0}' = 'a') docs,
             count(*) filter (where notes is null) nulls, count(*) filter (where length(raw) = 32) raws,
             count(*) filter (where name like 'Person%' or town = 'Berlin' or 'vip' || id = any (tags)) raw_left,
             count(*) filter (where abs(born - (date '1980-01-01' + id::int)) between 1 and 30) shifted
           from customers`,
        );
        expect(all).toMatchObject({
          n: '300',
          emails: '300',
          ibans: '300',
          codes: '300',
          shaped: '300',
          phones: '300',
          ips: '300',
          cards: '300',
          generated: '300',
          docs: '300',
          nulls: '300',
          raws: '300',
          raw_left: '0',
          shifted: '300',
        });
        const [joins] = await postgres.query<Record<string, string>>(
          name,
          `select (select count(*) from orders o join customers c on c.email = o.customer_email and c.id = o.customer_id) orders,
             (select count(*) from lines l join orders o on o.ref = l.order_ref) lines,
             (select count(*) from orders where ref = 1000 + id) unchanged,
             (select count(*) from pg_constraint where contype = 'f' and convalidated) keys`,
        );
        expect(joins).toMatchObject({ orders: '300', lines: '600', keys: '3' });
        expect(Number(joins?.unchanged)).toBeLessThan(5);
        const [first] = await postgres.query<{ raw: string; email: string; iban: string; card: string }>(
          name,
          'select email, iban, card from customers where id = 1',
        );
        const mac = createHmac('sha256', key).update('email\u001freal1@real-mail.de').digest('hex');
        expect(first?.email).toBe(`u${mac.slice(0, 16)}@example.test`);
        expect(remainder97(first?.iban ?? '')).toBe(1);
        expect(luhn(first?.card ?? '')).toBe(0);
        expect(result).toMatchObject({
          kind: 'sanitized',
          report: { rows: 1200, tablesWithoutCanary: 0, referencesChecked: 3, canariesPlanted: 9 },
        });
      },
    );
  });

  it('masks partitions, tables under views and composite keys, and refreshes what was made from them', async () => {
    await inDatabase(
      `create table events (tenant int, at date not null, who text not null, primary key (tenant, at, who)) partition by range (at);
       create table events_a partition of events for values from ('2026-01-01') to ('2026-06-01');
       create table events_b partition of events for values from ('2026-06-01') to ('2027-01-01');
       create table people (id int primary key, handle text not null, bio text);
       create view handles as select handle from people;
       create materialized view bios as select id, bio from people;
       create unique index on people (lower(handle));
       insert into events select i % 3, date '2026-01-01' + i, 'who-is-' || i from generate_series(1, 300) i;
       insert into people select i, 'handle-of-' || i, 'the whole life of person number ' || i from generate_series(1, 300) i;
       refresh materialized view bios;`,
      async (name) => {
        const result = await sanitize(
          policyOf({
            '*/events': { columns: { who: 'token' } },
            '*/people': { columns: { handle: 'token', bio: 'free-text' } },
          }),
        );
        if (result.kind === 'findings') expect(result.findings).toEqual([]);
        const [row] = await postgres.query<Record<string, string>>(
          name,
          `select (select count(distinct (tenant, who)) from events) whos, (select count(*) from events_a) a,
             (select count(*) from events where who like 'who%') raw, (select count(*) from bios where bio ~ 'life') bios,
             (select count(distinct handle) from handles) handles, (select count(*) from handles where handle like 'handle%') raw_handles`,
        );
        expect(row).toMatchObject({
          whos: '300',
          a: '150',
          raw: '0',
          bios: '0',
          handles: '300',
          raw_handles: '0',
        });
      },
    );
  });

  it('removes rows by filter and truncation, and those that hung on them', async () => {
    await inDatabase(
      `create table users (id int primary key, email text, created_at timestamptz);
       create table sessions (id int primary key, user_id int references users, token text);
       create table posts (id int primary key, user_id int references users on delete cascade, editor_id int references users on delete set null);
       create table comments (id int primary key, post_id int references posts);
       insert into users select i, 'u' || i || '@corp.de', date '2026-01-01' + i from generate_series(1, 100) i;
       insert into sessions select i, i, 't' || i from generate_series(1, 100) i;
       insert into posts select i, i, 101 - i from generate_series(1, 100) i;
       insert into comments select i, i from generate_series(1, 100) i;`,
      async (name) => {
        const result = await sanitize(
          policyOf({
            '*/users': { where: 'id > 50', columns: { email: 'email' } },
            '*/sessions': 'truncate',
          }),
        );
        if (result.kind === 'findings') expect(result.findings).toEqual([]);
        const [row] = await postgres.query<Record<string, string>>(
          name,
          `select (select count(*) from users) users, (select count(*) from sessions) sessions, (select count(*) from posts) posts,
             (select count(*) from comments) comments, (select count(*) from posts where editor_id is null) edited,
             (select count(*) from pg_constraint where contype = 'f') keys`,
        );
        expect(row).toMatchObject({
          users: '50',
          sessions: '0',
          posts: '50',
          comments: '50',
          edited: '50',
          keys: '4',
        });
      },
    );
  });

  it('sees citext, arrays, bytea, domains, composites and hstore, and blocks with a rule to paste for each', async () => {
    await inDatabase(
      `create extension if not exists citext; create extension if not exists hstore;
       create domain secret_word as varchar(20)[]; create type address as (street text, town text);
       create table a (id int primary key, c citext, arr text[], b bytea, d secret_word, comp address, h hstore, "Weird name" text, x xml, m macaddr);`,
      async () => {
        const result = await sanitize(policyOf({}));
        expect(result.kind).toBe('findings');
        const findings = result.kind === 'findings' ? result.findings : [];
        expect(findings.map(({ where }) => where.replace(/^.*\//, ''))).toEqual([
          'a.c',
          'a.arr',
          'a.b',
          'a.d',
          'a.comp',
          'a.h',
          'a.Weird name',
          'a.x',
          'a.m',
        ]);
        for (const finding of findings) expect(finding.paste).toContain('tables:\n  ');
        expect(findings[6]?.paste).toContain('"Weird name": name');
      },
    );
  });

  it('masks hstore by key and composites by attribute, in arrays and in each other too', async () => {
    const address: ColumnRule = {
      rule: 'row',
      attributes: {
        street: { rule: 'address', domain: null },
        zip: { rule: 'postcode', domain: null },
        since: { rule: 'date-shift', days: 9 },
        mail: { rule: 'email', domain: null },
        more: { rule: 'hstore', keys: { email: 'email' }, keepRest: null },
      },
      keepRest: null,
    };
    const home: ColumnRule = { rule: 'row', attributes: { place: address }, keepRest: 'floors are numbers' };
    const keys = { email: 'email', Colour: 'keep', gone: 'null' } as const;
    await inDatabase(
      `create extension hstore;
       create type place as (street text, zip varchar(20), since date, mail text, more hstore);
       create type home as (floor int, "Old" text, place place);
       create domain checked_place as place check (value is null or (value).zip is not null);
       alter type home drop attribute "Old";
       create table people (id int primary key, email text, h hstore, hs hstore[], rest hstore, any_key hstore, p place, ps place[], d checked_place, hm home, hms home[]);
       insert into people select i, m, x, array[x, null, x], x, x, a, array[a, null], a, row(i, a)::home, array[row(i, a)::home]
         from generate_series(1, 200) i, lateral (select 'Real' || i || '@corp.de' as m) e,
           lateral (select hstore(array['email', m, 'Colour', 'r"e\\d', 'gone', 'away', 'secret note ' || i, 'of person ' || i]) as x) f,
           lateral (select row('Real Street ' || i, '1' || 1000 + i, date '2020-01-01', m, x)::place as a) g;
       insert into people (id, email, p) values (201, 'last@corp.de', row(null, null, null, null, null)), (202, 'none@corp.de', null);`,
      async (name) => {
        const policy = policyOf({
          '*/people': {
            columns: {
              email: 'email',
              h: { rule: 'hstore', keys, keepRest: null },
              hs: { rule: 'hstore', keys, keepRest: null },
              rest: { rule: 'hstore', keys: { email: 'email' }, keepRest: 'notes are made up' },
              any_key: { rule: 'hstore', keys: { '*': 'free-text', Colour: 'keep' }, keepRest: null },
              p: address,
              ps: address,
              d: address,
              hm: home,
              hms: home,
            },
          },
        });
        const result = await sanitize(policy);
        if (result.kind === 'findings') expect(result.findings).toEqual([]);
        // Every carrier had the canary in it, in one of the planted rows at least.
        expect(result).toMatchObject({ report: { canaryColumns: 10, tablesWithoutCanary: 0 } });
        const [row] = await postgres.query<Record<string, string>>(
          name,
          `select count(*) filter (where h -> 'email' = email and h ?& array['Colour', 'gone'] and h -> 'gone' is null
               and h -> 'Colour' = 'r"e\\d' and cardinality(akeys(h)) = 3) h,
             count(*) filter (where hs[1] = h and hs[2] is null and hs[3] = h and cardinality(hs) = 3) hs,
             count(*) filter (where rest -> ('secret note ' || id) = 'of person ' || id and rest -> 'email' = email) rest,
             count(*) filter (where cardinality(akeys(any_key)) = 4 and any_key -> 'Colour' = 'r"e\\d' and any_key -> 'gone' = 'lore') any_key,
             count(*) filter (where (p).mail = email and (p).more = hstore('email', email) and (p).street ~ '^[0-9]+ [A-Z][a-z]+ Street$'
               and (p).zip ~ '^[0-9]{5}$' and (p).since <> '2020-01-01') p,
             count(*) filter (where ps[1] = p and ps[2] is null and cardinality(ps) = 2) ps, count(*) filter (where d::place = p) d,
             count(*) filter (where (hm).floor = id and (hm).place = p and hms = array[hm]) hm,
             count(*) filter (where row(email, h, hs, any_key, p, ps, d, hm, hms)::text ~ 'corp|Real|away|of person') raw,
             count(*) filter (where id = 201 and p is distinct from null and p is null) nulls, count(*) filter (where id = 202 and p is not distinct from null) none
           from people`,
        );
        const all = '200';
        expect(row).toMatchObject({
          ...{ h: all, hs: all, rest: all, any_key: all, p: all, ps: all },
          d: all,
          hm: all,
        });
        expect(row).toMatchObject({ raw: '0', nulls: '1', none: '1' });
      },
    );
  });

  it('blocks when production got a column since, and finds raw values that were kept', async () => {
    const policy = policyOf({
      '*/people': {
        columns: {
          email: 'email',
          remark: { rule: 'keep', reason: 'only colours are written there', allow: [] },
        },
      },
    });
    await inDatabase(
      `create table people (id int primary key, email text, remark text);
       insert into people select i, 'x' || i || '@corp.de', case when i = 7 then 'ask bob.real@corp.de' when i = 8 then 'pay 4111 1111 1111 1111' else 'red' end from generate_series(1, 50) i;`,
      async (name) => {
        const kept = await sanitize(policy);
        expect(kept).toMatchObject({
          kind: 'findings',
          findings: [{ code: 'raw-value', where: expect.stringContaining('people.remark') }],
        });
        expect(JSON.stringify(kept)).not.toContain('bob.real');
        await postgres.query(
          name,
          "update people set remark = 'red'; alter table people add column mobile text",
        );
        expect(await sanitize(policy)).toMatchObject({
          kind: 'findings',
          findings: [
            {
              code: 'undecided',
              where: expect.stringContaining('people.mobile'),
              paste: expect.stringContaining('mobile: phone'),
            },
          ],
        });
      },
    );
  });

  it('does not take a masking for done that lets values through or collapses them', async () => {
    await inDatabase(
      `create table people (id int primary key, nick text, email text);
       insert into people select i, 'nick-name-' || i, 'x' || i || '@corp.de' from generate_series(1, 50) i;`,
      async () => {
        const leaking = await sanitize(
          policyOf({
            '*/people': { columns: { nick: { rule: 'sql', expression: "nick || ''" }, email: 'email' } },
          }),
        );
        expect(leaking).toMatchObject({ kind: 'findings', findings: [{ code: 'canary' }] });
      },
    );
  });

  it('says in which table the server refused, without the value', async () => {
    await inDatabase(
      `create table people (id int primary key, email text check (email like '%@corp.de'), n text);
       insert into people select i, 'x' || i || '@corp.de', 'v' from generate_series(1, 5) i;`,
      async () => {
        const failing = sanitize(policyOf({ '*/people': { columns: { email: 'email', n: 'null' } } }));
        await expect(failing).rejects.toMatchObject({
          code: 'sanitize-failed',
          message: expect.stringMatching(/masking .*people.*23514, constraint people_email_check/),
        });
      },
    );
  });
});

function remainder97(iban: string): number {
  const moved = iban.slice(4) + iban.slice(0, 4);
  const digits = [...moved].map((letter) => String(Number.parseInt(letter, 36))).join('');
  return Number(BigInt(digits) % 97n);
}

function luhn(digits: string): number {
  const sum = [...digits].reverse().reduce((total, digit, index) => {
    const value = Number(digit) * (index % 2 === 1 ? 2 : 1);
    return total + (value > 9 ? value - 9 : value);
  }, 0);
  return sum % 10;
}
