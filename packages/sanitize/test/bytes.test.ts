import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { sanitizeCluster } from '../src/sanitize-cluster.ts';
import { createSearch, scanFiles } from '../src/scan-files.ts';
import { scrubFiles } from '../src/scrub.ts';
import { policyOf } from './policies.ts';
import { startTestServer, type TestServer } from './private-server.ts';

const soon = () => AbortSignal.timeout(150_000);

vi.setConfig({ testTimeout: 180_000 });

/** Everywhere that PostgreSQL may keep a value: each has a word of its own, so that a leak says where it is. */
const ROWS = 2_000;
const schema = (secret: string) => `
  create extension if not exists pg_stat_statements; create extension if not exists hstore; create extension if not exists citext;
  create domain word as text check (value <> ''); create type address as (street text, town text);
  create type tier as enum ('${secret}-label-old', 'free');
  create function told(t text) returns text immutable language sql as $$ select '${secret}-replaced-code' || t $$;
  create or replace function told(t text) returns text immutable language sql as $$ select 'x' || t $$;
  create table people (id int primary key, email text unique, name text, nick citext, doc jsonb, plain json, tags text[], home address,
    spoken word, pairs hstore, essay text, long text, dropped text, raw bytea, born date, tier tier, photo oid default 0, town text, district text,
    changed text default '${secret}-old-default', search tsvector generated always as (to_tsvector('simple', name)) stored);
  alter table people alter long set storage external;
  alter table people alter changed set default 'new';
  create index by_name on people (lower(name) text_pattern_ops);
  create index by_tags on people using gin (tags);
  create index by_search on people using gin (search);
  create index partly on people (email) where name like '%1';
  create materialized view emails as select id, email from people;
  create view names as select name from people;
  create table events (at date, who text) partition by range (at);
  create table events_a partition of events for values from ('2026-01-01') to ('2026-06-01');
  create table events_b partition of events for values from ('2026-06-01') to ('2027-01-01');
  create table elders (age int) inherits (people);
  create table gone (id int primary key, note text);
  create table log (id int primary key, line text);
  create table copies (id int primary key, old text);
  create unlogged table scratch (id int primary key, note text);
  insert into people (id, email, name, nick, doc, plain, tags, home, spoken, pairs, essay, long, dropped, raw, tier, town, district)
    select i, '${secret}-email-' || i || '@corp.de', '${secret}-name-' || i, '${secret}-nick-' || i,
      jsonb_build_object('k', '${secret}-doc-' || i, '${secret}-field-' || i, 1), json_build_object('k', '${secret}-plain-' || i),
      array['${secret}-tag-' || i, 'b'], row('${secret}-street-' || i, 'x')::address, '${secret}-word-' || i,
      hstore('${secret}-key-' || i, '${secret}-pair-' || i), '${secret}-essay-' || i || repeat(' again and again', case when i % 10 = 0 then 900 else 2 end),
      case when i % 20 = 0 then '${secret}-long-' || i || (select string_agg(md5(i::text || n::text), '') from generate_series(1, 100) n) end,
      '${secret}-dropped-' || i, convert_to('${secret}-raw-' || i, 'UTF8'), case when i % 2 = 0 then 'free'::tier end,
      '${secret}-town-' || i % 7, '${secret}-district-' || i % 7
    from generate_series(1, ${ROWS}) i;
  insert into elders (id, email, name, age) select i, '${secret}-elder-' || i || '@corp.de', 'old', 90 from generate_series(5000, 5100) i;
  update people set photo = lo_from_bytea(0, convert_to('${secret}-photo-' || id, 'UTF8')) where id <= 50;
  create statistics pairs_of_people (mcv, dependencies) on town, district from people;
  insert into events select date '2026-01-01' + i % 300, '${secret}-event-' || i from generate_series(1, ${ROWS}) i;
  insert into gone select i, '${secret}-gone-' || i from generate_series(1, 500) i;
  insert into log select i, '${secret}-log-' || i from generate_series(1, 500) i;
  insert into copies select i, '${secret}-old-' || i from generate_series(1, 500) i;
  insert into scratch select i, '${secret}-scratch-' || i from generate_series(1, 500) i;
  refresh materialized view emails;
  comment on table people is '${secret}-comment'; comment on column people.name is '${secret}-remark';
  comment on database main is '${secret}-shared';
  alter type tier rename value '${secret}-label-old' to 'paid';
  update people set name = name || '-b' where id % 2 = 0;
  delete from people where id > ${ROWS - 100};
  delete from gone;
  alter table people drop column dropped;
  alter table copies drop column old;
  analyze; checkpoint; select pg_switch_wal(); checkpoint;`;

/** In the raw files as they are. Labels, defaults and code that were replaced are dead rows of catalogues. */
const carriers = [
  ...[
    'email',
    'name',
    'nick',
    'doc',
    'field',
    'plain',
    'tag',
    'street',
    'word',
    'key',
    'pair',
    'essay',
    'long',
  ],
  ...['dropped', 'raw', 'elder', 'photo', 'event', 'gone', 'log', 'old', 'comment', 'remark', 'shared'],
  ...['label-old', 'replaced-code'],
];

describe('bytes of production in the files of a sanitized PostgreSQL', () => {
  let postgres: TestServer;
  let clone: TestServer | undefined;
  const secret = `zq${randomBytes(5).toString('hex')}`;

  beforeAll(async () => {
    postgres = await startTestServer();
  });
  afterAll(async () => {
    await postgres.remove();
    await clone?.remove();
  });

  /** Of each carrier, how often its word is in the files below a directory. */
  async function carried(directory: string): Promise<Map<string, number>> {
    const found = new Map<string, number>();
    for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const bytes = await readFile(join(entry.parentPath, entry.name));
      for (let at = bytes.indexOf(secret); at >= 0; at = bytes.indexOf(secret, at + 1)) {
        const after = bytes.toString('latin1', at + secret.length, at + secret.length + 20);
        const [carrier = ''] = carriers.filter((name) => after.startsWith(`-${name}`));
        found.set(carrier, (found.get(carrier) ?? 0) + 1);
      }
    }
    return found;
  }

  /** What bytes do not show, because it is compressed: every row of everything with rows, the server's own too. */
  async function readable(server: TestServer): Promise<string[]> {
    const relations = await server.query<{ name: string }>(
      'main',
      `select oid::regclass::text as name from pg_class where relkind in ('r', 'm') and relpersistence <> 't'
       and relname not in ('pg_authid', 'pg_largeobject') order by 1`,
    );
    const [statistics] = await server.query<{ n: number }>(
      'main',
      `select count(*)::int as n from pg_stats_ext where most_common_vals::text like '%${secret}%'`,
    );
    const found = statistics?.n === 0 ? [] : ['extended statistics'];
    for (const { name } of relations) {
      const [row] = await server.query<{ n: string }>(
        'main',
        `select count(*) as n from ${name} r where r::text like '%${secret}%'`,
      );
      if (row?.n !== '0') found.push(name);
    }
    return found;
  }

  it('are everywhere before, and nowhere after masking, scrubbing and a clean stop, nor in a clone that runs', async () => {
    await postgres.query('postgres', 'create database main');
    await postgres.query('postgres', `create role leaver password '${secret}-role'`);
    await postgres.query('main', schema(secret));
    // A crash of production leaves files that no catalogue names.
    const [{ directory } = { directory: '' }] = await postgres.query<{ directory: string }>(
      'main',
      `select 'base/' || oid as directory from pg_database where datname = 'main'`,
    );
    await writeFile(join(postgres.cluster, directory, '99999'), `${secret}-log-orphan`);
    // This scan can fail: every carrier is seen, and so are indexes, statistics and the log.
    const raw = await carried(postgres.cluster);
    expect(carriers.filter((carrier) => !raw.has(carrier))).toEqual([]);
    expect([...raw.values()].reduce((sum, count) => sum + count, 0)).toBeGreaterThan(40_000);
    const paths = await postgres.query<{ name: string; path: string }>(
      'main',
      `select relname as name, pg_relation_filepath(oid) as path from pg_class where relname in
       ('by_name', 'by_tags', 'partly', 'people_email_key', 'emails', 'pg_statistic', 'events_b')`,
    );
    expect(paths).toHaveLength(7);
    for (const { name, path } of paths)
      expect(`${name} ${(await readFile(join(postgres.cluster, path))).includes(secret)}`).toBe(
        `${name} true`,
      );
    expect((await scanFiles(join(postgres.cluster, 'pg_wal'), [secret], soon())).count).toBeGreaterThan(
      1_000,
    );
    const compressed = `${secret}-essay-1000 `;
    expect((await scanFiles(join(postgres.cluster, 'base'), [compressed], soon())).count).toBe(0);
    expect(await readable(postgres)).toEqual(
      expect.arrayContaining(['extended statistics', 'people', 'emails', 'events_a', 'pg_statistic']),
    );

    // As a claim does with every role's password, before anything is masked.
    await postgres.query('postgres', 'drop role leaver');
    const result = await sanitizeCluster({
      server: postgres.server,
      policy: policyOf(
        {
          people: {
            columns: {
              email: 'email',
              name: 'name',
              nick: 'token',
              doc: { rule: 'json', paths: { k: 'hash' }, keepRest: null },
              plain: { rule: 'json', paths: { k: 'hash' }, keepRest: null },
              tags: 'token',
              home: {
                rule: 'row',
                attributes: { street: { rule: 'address', domain: null } },
                keepRest: 'there is one town',
              },
              spoken: 'free-text',
              pairs: { rule: 'hstore', keys: { email: 'email' }, keepRest: null },
              essay: 'free-text',
              long: 'free-text',
              raw: 'hash',
              photo: { rule: 'constant', value: '0' },
              changed: 'free-text',
              town: 'city',
              district: 'city',
            },
          },
          elders: {
            columns: { '*': 'null', id: { rule: 'keep', reason: 'ids', allow: [] }, email: 'email' },
          },
          events: { columns: { who: 'token' } },
          gone: { columns: { note: 'null' } },
          log: 'truncate',
          scratch: { columns: { note: 'free-text' } },
          copies: { why: 'nothing personal is left in it' },
        },
        { largeObjects: 'drop', comments: 'drop' },
      ),
      key: Buffer.alloc(32, 9),
      signal: soon(),
      line: () => {},
    });
    if (result.kind === 'findings') expect(result.findings).toEqual([]);
    if (result.kind !== 'sanitized') return;
    expect(await readable(postgres)).toEqual([]);
    await postgres.stop();
    await scrubFiles(postgres.cluster, result.relationFiles);
    const needles = [secret, ...result.needles];
    const clean = await scanFiles(postgres.cluster, needles, soon());
    expect(clean).toMatchObject({ count: 0, hits: [] });
    expect(clean.bytes).toBeGreaterThan(1_000_000);
    expect(needles.length).toBeGreaterThan(20);

    // Its files are whole, and a clone shows nothing that the golden did not.
    clone = await startTestServer({ copyOf: postgres.cluster });
    expect(await readable(clone)).toEqual([]);
    const [rows] = await clone.query(
      'main',
      'select count(*)::int as n, count(distinct email)::int as emails from only people',
    );
    expect(rows).toEqual({ n: ROWS - 100, emails: ROWS - 100 });
    await clone.query('main', "update people set name = 'x'; analyze; checkpoint");
    await clone.stop();
    expect(await scanFiles(clone.cluster, needles, soon())).toMatchObject({ count: 0, hits: [] });
  });
});

describe('the byte scan', () => {
  it('finds every needle, at the ends, across chunks, and overlapping others', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'bough-scan-'));
    try {
      const chunk = 4 * 1024 * 1024;
      const bytes = Buffer.alloc(chunk * 2 + 100, 0x20);
      for (const at of [0, 5_000, chunk - 3, chunk + 100, chunk * 2 - 1, bytes.length - 8])
        bytes.write('needle-1', at);
      bytes.write('needles', 9_000);
      await writeFile(join(directory, 'file'), bytes);
      expect(await scanFiles(directory, ['needle-1'], soon())).toMatchObject({
        count: 6,
        hits: ['file'],
        files: 1,
      });
      expect(await scanFiles(directory, ['needle-1', 'needles', 'absent and long'], soon())).toMatchObject({
        count: 7,
      });
      expect(await scanFiles(directory, ['absent'], soon())).toMatchObject({ count: 0, hits: [] });
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  it('agrees with a plain search on random bytes', () => {
    const haystack = randomBytes(200_000).map((byte) => byte % 4);
    const needles = Array.from({ length: 60 }, (_, index) =>
      Buffer.from(haystack.subarray(index * 900, index * 900 + 6 + (index % 9))),
    );
    let expected = 0;
    for (const needle of new Set(needles)) {
      for (
        let at = Buffer.from(haystack).indexOf(needle);
        at >= 0;
        at = Buffer.from(haystack).indexOf(needle, at + 1)
      )
        expected += 1;
    }
    expect(createSearch(needles).count(Buffer.from(haystack), 0)).toBe(expected);
  });

  it('does not call an empty directory clean', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'bough-scan-'));
    try {
      await expect(scanFiles(directory, ['x'], soon())).rejects.toMatchObject({ code: 'sanitize-failed' });
    } finally {
      await rm(directory, { recursive: true });
    }
  });
});
