import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
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

describe('bytes of production in the files of a sanitized PostgreSQL', () => {
  let postgres: TestServer;
  const secret = `zq${randomBytes(5).toString('hex')}`;

  beforeAll(async () => {
    postgres = await startTestServer();
  });
  afterAll(() => postgres.remove());

  it('are everywhere before, and nowhere after masking, scrubbing and a clean stop', async () => {
    const database = 'main';
    await postgres.query('postgres', `create database ${database}`);
    await postgres.query('postgres', `create role leaver password '${secret}-role'`);
    await postgres.query(
      database,
      `create extension if not exists pg_stat_statements;
       create table people (id int primary key, email text unique, name text, doc jsonb, tags text[], essay text, dropped text,
         raw bytea, search tsvector generated always as (to_tsvector('simple', name)) stored);
       create index on people (lower(name));
       create index on people using gin (tags);
       create materialized view emails as select id, email from people;
       create view names as select name from people;
       create table gone (id int primary key, note text);
       create table log (id int primary key, line text);
       create table copies (id int primary key, old text);
       insert into people (id, email, name, doc, tags, essay, dropped, raw)
         select i, '${secret}-' || i || '@corp.de', '${secret}-name-' || i, jsonb_build_object('k', '${secret}-doc-' || i),
           array['${secret}-tag-' || i], '${secret}-essay-' || i || ' ' ||
             (select string_agg(md5(i::text || n::text), '') from generate_series(1, case when i % 50 = 0 then 300 else 1 end) n),
           '${secret}-dropped-' || i, convert_to('${secret}-raw-' || i, 'UTF8')
         from generate_series(1, 2000) i;
       create statistics on name, email from people;
       insert into gone select i, '${secret}-gone-' || i from generate_series(1, 500) i;
       insert into log select i, '${secret}-log-' || i from generate_series(1, 500) i;
       insert into copies select i, '${secret}-old-' || i from generate_series(1, 500) i;
       refresh materialized view emails;
       update people set name = name || '-b' where id % 2 = 0;
       delete from people where id > 1900;
       delete from gone;
       alter table people drop column dropped;
       alter table copies drop column old;
       analyze; checkpoint; select pg_switch_wal(); checkpoint;`,
    );
    const raw = await scanFiles(postgres.cluster, [secret], soon());
    // Rows, dead rows, indexes, TOAST, statistics, the view and the log: this scan can fail.
    expect(raw.count).toBeGreaterThan(20_000);
    expect(raw.hits.some((file) => file.startsWith('pg_wal/'))).toBe(true);
    expect(raw.hits.filter((file) => file.startsWith('base/')).length).toBeGreaterThan(5);

    // As a claim does with every role's password, before anything is masked.
    await postgres.query('postgres', 'drop role leaver');
    const result = await sanitizeCluster({
      server: postgres.server,
      policy: policyOf({
        people: {
          columns: {
            email: 'email',
            name: 'name',
            tags: 'token',
            essay: 'free-text',
            raw: 'hash',
            doc: { rule: 'json', paths: { k: 'hash' }, keepRest: null },
          },
        },
        gone: { columns: { note: 'null' } },
        log: 'truncate',
        copies: { why: 'nothing personal is left in it' },
      }),
      key: Buffer.alloc(32, 9),
      signal: soon(),
      line: () => {},
    });
    if (result.kind === 'findings') expect(result.findings).toEqual([]);
    await postgres.stop();
    await scrubFiles(postgres.cluster);
    const needles = [secret, ...(result.kind === 'sanitized' ? result.needles : [])];
    const clean = await scanFiles(postgres.cluster, needles, soon());
    expect(clean.hits).toEqual([]);
    expect(clean.count).toBe(0);
    expect(clean.bytes).toBeGreaterThan(1_000_000);
    expect(needles.length).toBeGreaterThan(20);
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
