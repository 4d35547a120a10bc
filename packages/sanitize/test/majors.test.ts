import { testToolchain } from '@bough/testkit/test-toolchain';
import { describe, expect, it } from 'vitest';
import { sanitizeCluster } from '../src/sanitize-cluster.ts';
import { scanFiles } from '../src/scan-files.ts';
import { scrubFiles } from '../src/scrub.ts';
import { policyOf } from './policies.ts';
import { startTestServer } from './private-server.ts';

/** 17 is what all other tests run on. */
const majors = [14, 15, 16, 18];
const WHOLE_MS = 240_000;
const soon = () => AbortSignal.timeout(200_000);

/** One of each thing whose SQL differs between majors: catalogues, partitions, statistics, generated columns, references. */
const schema = (secret: string) => `
  create extension citext;
  create table people (id int primary key, email citext unique, name text, tags text[], doc jsonb, raw bytea,
    upper_name text generated always as (upper(name)) stored);
  create table orders (id int primary key, person_id int references people, person_email citext references people (email)) ;
  create table events (at date, who text) partition by range (at);
  create table events_a partition of events for values from ('2026-01-01') to ('2027-01-01');
  create materialized view emails as select id, email from people;
  create view names as select name from people;
  create statistics on_people (mcv) on name, email from people;
  insert into people (id, email, name, tags, doc, raw) select i, '${secret}-' || i || '@corp.de', '${secret} name ' || i,
    array['${secret}-tag-' || i], jsonb_build_object('k', '${secret}-doc-' || i), convert_to('${secret}-raw-' || i, 'UTF8') from generate_series(1, 200) i;
  insert into orders select i, i, '${secret}-' || i || '@corp.de' from generate_series(1, 200) i;
  insert into events select date '2026-01-01' + i, '${secret}-event-' || i from generate_series(1, 200) i;
  refresh materialized view emails; update people set name = name || ' b'; analyze; checkpoint`;

describe('the same rules on PostgreSQL', () => {
  it.for(majors)('%s', { timeout: WHOLE_MS }, async (major, context) => {
    const toolchain = await testToolchain();
    const missing = await toolchain.resolve(`postgresql:${major}`).then(
      () => undefined,
      (error: unknown) => String(error),
    );
    if (missing !== undefined) context.skip(`no PostgreSQL ${major} can be had here: ${missing}`);
    const secret = 'zqmajors';
    const postgres = await startTestServer({ major });
    try {
      await postgres.query('postgres', 'create database main');
      await postgres.query('main', schema(secret));
      expect((await scanFiles(postgres.cluster, [secret], soon())).count).toBeGreaterThan(2_000);
      const result = await sanitizeCluster({
        server: postgres.server,
        policy: policyOf({
          people: {
            columns: {
              email: 'email',
              name: 'name',
              tags: 'token',
              raw: 'hash',
              doc: { rule: 'json', paths: { k: 'hash' }, keepRest: null },
            },
          },
          events: { columns: { who: 'token' } },
        }),
        key: Buffer.alloc(32, 9),
        signal: soon(),
        line: () => {},
      });
      if (result.kind === 'findings') expect(result.findings).toEqual([]);
      // The same key masks the same value alike, whatever the server: what is computed here is what every major gives.
      const [row] = await postgres.query<Record<string, unknown>>(
        'main',
        `select current_setting('server_version_num')::int / 10000 as major, (select email from people where id = 7) as seventh,
           (select count(*)::int from orders join people on people.id = person_id and email = person_email) as joined,
           (select count(distinct who)::int from events) as events, (select count(*)::int from emails where email like 'u%') as viewed`,
      );
      expect(row).toEqual({
        major,
        seventh: 'u66de89ded61d56c0@example.test',
        joined: 200,
        events: 200,
        viewed: 200,
      });
      await postgres.stop();
      if (result.kind === 'sanitized') await scrubFiles(postgres.cluster, result.relationFiles);
      expect(await scanFiles(postgres.cluster, [secret], soon())).toMatchObject({ count: 0, hits: [] });
    } finally {
      await postgres.remove();
    }
  });
});
