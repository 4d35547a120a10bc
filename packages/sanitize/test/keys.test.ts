import { randomBytes } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { keysWords } from '@bough/domain/data-report';
import type { KeyRule } from '@bough/manifest/sanitize-policy';
import { redis } from '@bough/service/redis/service';
import type { Credentials, ServiceDeclaration } from '@bough/service/service';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it, test, vi } from 'vitest';
import { findSeries, skipNote } from '../../service/test/find-series.ts';
import { createServiceRunner, type ServiceRunner } from '../../service/test/service-runner.ts';
import { copyKeys } from '../src/keys/copy-keys.ts';
import { matchesKey } from '../src/keys/key-glob.ts';
import { compileKeyRules } from '../src/keys/key-rules.ts';
import { verifyKeys } from '../src/keys/verify-keys.ts';
import { scanFiles } from '../src/scan-files.ts';

vi.setConfig({ testTimeout: 120_000 });

/** In every name and value that must stay behind. */
/** Ends in what no pattern of a queue's name ends in. */
const secret = `zq${randomBytes(6).toString('hex')}z`;
const soon = () => AbortSignal.timeout(60_000);
const rule = (allow: string | string[], over: Partial<KeyRule> = {}): KeyRule => ({
  ...{ allow: [allow].flat(), why: null, types: [], ttl: null, holds: [] },
  ...over,
});

test.each([
  ['catalog:*', 'catalog:1', true],
  ['catalog:*', 'xcatalog:1', false],
  ['a?c', 'abc', true],
  ['a?c', 'ac', false],
  ['*:end', 'a:end:end', true],
  ['a*b*c', 'aXbYbZc', true],
  ['a*b*c', 'aXbYbZ', false],
  ['a.c', 'abc', false],
  ['flags', 'flags', true],
  ['flags', 'flagsx', false],
  ['a*', `a\n${'*'.repeat(3)}`, true],
])('the pattern %s and the name %s', (pattern, name, is) => {
  expect(matchesKey(pattern, name)).toBe(is);
});

test('a pattern full of stars costs its length times the name’s, and no more', () => {
  expect(matchesKey(`${'*a'.repeat(200)}b`, 'a'.repeat(20_000))).toBe(false);
});

const valkey = await findSeries('valkey');
const kinds = [
  { type: 'redis', version: '7.0' },
  { type: 'redis-persistent', version: '7.0' },
  { type: 'valkey', version: valkey.series, why: valkey.why },
];
for (const { type, version, why } of kinds)
  describe.skipIf(why !== undefined)(`keys of ${type}${skipNote(why)}`, () => {
    const declaration: ServiceDeclaration = { name: 'cache', type, version, configuration: {} };
    let runner: ServiceRunner;
    let source: Server;

    interface Server {
      readonly login: Credentials & { host: string; port: number };
      readonly client: Redis;
      readonly volume: string;
      stop(): Promise<number | null>;
    }

    async function start(
      mode: 'production' | 'preview' | 'capture',
      credentials = redis.credentials(declaration),
      volume?: string,
    ): Promise<Server> {
      const path = volume ?? (await runner.volume());
      const hasVolume = mode !== 'production' || redis.persistent(type);
      const server = await runner.start({
        toolchain: redis.toolchain(declaration),
        program: redis.program(declaration, credentials, mode, { hasVolume }),
        ...(hasVolume ? { volume: path } : {}),
      });
      await redis.ready(server.address, credentials, AbortSignal.timeout(60_000));
      const client = new Redis({
        ...server.address,
        password: credentials.password.reveal(),
        protocol: 2,
        retryStrategy: () => null,
      });
      return {
        login: { ...credentials, ...server.address },
        ...{ client, volume: path },
        stop: () => {
          client.disconnect();
          return server.stop();
        },
      };
    }

    async function capture(rules: readonly KeyRule[], target: Server) {
      const of = {
        ...{ service: 'cache', target: target.login, signal: soon(), line: () => {} },
        allowances: compileKeyRules(rules),
      };
      const copied = await copyKeys({ ...of, source: source.login });
      return { copied, verified: await verifyKeys({ ...of, copied, rules }) };
    }

    beforeAll(async () => {
      runner = await createServiceRunner();
      source = await start('production');
      const { client } = source;
      await client.set('catalog:1', 'a pot', 'EX', 600);
      await client.set('catalog:2', Buffer.from([0, 255, 10, 13, 1]));
      await client.hset('catalog:hash', { name: 'a pan', price: '12' });
      await client.zadd('catalog:top', 1, 'a', 2, 'b');
      await client.rpush('catalog:new', 'x', 'y');
      await client.sadd('catalog:all', '1', '2');
      await client.xadd('catalog:log', '*', 'event', 'sold');
      await client.set(Buffer.from([0x63, 0x61, 0x3a, 0xff]), 'a name that is no text');
      await client.select(3);
      await client.set('catalog:db3', 'in another database');
      await client.set('flags', 'a string where a hash is meant');
      await client.select(0);
      await client.hset('flags', 'checkout', 'on');
      // Whatever is somebody's.
      await client.set(`session:${secret}`, `${secret}@corp.de`);
      await client.hset(`user:${secret}`, 'email', `${secret}@corp.de`);
      await client.set('catalog:ids', `session:${secret.slice(0, 4)}`);
      // Queues, in the names that their libraries give them.
      await client.hset('bull:mail:7', 'data', secret);
      await client.hset('jobs:mail:meta', 'opts.maxLenEvents', '10000');
      await client.hset('jobs:mail:7', 'data', secret);
      await client.hset('catalog:meta', 'about', 'a meta of no queue');
      await client.rpush('work:sms:wait', secret);
      await client.hset('work:sms:8', 'data', secret);
      await client.rpush('queue:default', secret);
      await client.sadd('queues', 'default');
      await client.zadd('schedule', 1, secret);
      await client.rpush('celery', secret);
      await client.sadd('_kombu.binding.mails', 'mails\x06\x16\x06\x16mails-of-celery');
      await client.rpush('mails-of-celery', secret);
      await client.rpush('shop_database_queues:default', secret);
      await client.hset('rq:job:1', 'data', secret);
      await client.sadd('resque:queues', 'q');
      await client.xadd('orders', '*', 'order', secret);
      await client.xgroup('CREATE', 'orders', 'workers', '0');
    });
    afterAll(async () => {
      await source?.stop();
      await runner.close();
    });

    it('copies what rules name as it is, never a queue, into files that hold nothing else, and starts previews from them', async () => {
      const target = await start('capture');
      const { copied, verified } = await capture(
        [
          rule('catalog:*', { types: ['hash', 'list', 'set', 'stream', 'string', 'zset'] }),
          rule('flags', { types: ['hash'] }),
          rule('nothing:*'),
          // Everything that a queue might be called, by somebody who knows no better.
          rule(['b*', 'j*', 'w*', 'q*', 's*e', 'c*y', '_*', 'm*', 'shop*', 'r*', 'o*']),
        ],
        target,
      );
      expect([copied.findings, verified.findings]).toEqual([[], []]);
      expect(verified.counts.slice(0, 3)).toEqual([10, 1, 0]);
      expect(verified.kept).toBe(11);
      // bull, 2 of jobs, 2 of work, queue, queues, schedule, celery, kombu, its queue, laravel, rq, resque, orders.
      expect(copied.queues).toBe(15);
      expect(copied.samples.some((sample) => sample.includes(secret))).toBe(true);
      await redis.keyed?.seal(declaration, target.login, target.login, soon());
      expect(await target.stop()).toBe(0);
      const needles = [secret, ...verified.needles];
      const scan = await scanFiles(target.volume, needles, soon());
      expect(scan).toMatchObject({ hits: [], count: 0 });
      // It can fail: what is allowed is found.
      expect((await scanFiles(target.volume, ['a pot'], soon())).count).toBe(1);

      const preview = await start('preview', redis.credentials(declaration), target.volume);
      expect(await preview.client.get('catalog:1')).toBe('a pot');
      const ttl = await preview.client.ttl('catalog:1');
      expect(ttl).toBeGreaterThan(300);
      expect(ttl).toBeLessThanOrEqual(600);
      expect(await preview.client.ttl('catalog:2')).toBe(-1);
      expect(await preview.client.getBuffer('catalog:2')).toEqual(Buffer.from([0, 255, 10, 13, 1]));
      expect(await preview.client.hgetall('flags')).toEqual({ checkout: 'on' });
      expect(await preview.client.type('catalog:top')).toBe('zset');
      expect(await preview.client.dbsize()).toBe(10);
      await preview.client.select(3);
      expect(await preview.client.keys('*')).toEqual(['catalog:db3']);
      await preview.client.select(0);
      await preview.client.set('written', '1');
      await preview.stop();
      const again = await start('preview', redis.credentials(declaration), target.volume);
      expect(await again.client.exists('written')).toBe(redis.persistent(type) ? 1 : 0);
      expect(await again.client.exists('catalog:hash')).toBe(1);
      await again.stop();
    });

    it('blocks what looks like somebody’s, in names and in values that are packed, unless the rule says that it may be there', async () => {
      const { client } = source;
      await client.hset('shops:1', 'mail', 'berlin@shops.corp.de');
      await client.set('shops:packed', gzipSync('call +49 30 1234567 now'));
      await client.set('by-mail:ann@corp.de', '1');
      const target = await start('capture');
      const { verified } = await capture([rule('shops:*'), rule('by-mail:*')], target);
      expect(verified.findings.map(({ where, code }) => [where, code])).toEqual(
        expect.arrayContaining([
          ['keys: cache: shops:*', 'raw-value'],
          ['keys: cache: by-mail:*', 'raw-value'],
        ]),
      );
      expect(verified.findings).toHaveLength(3);
      expect(JSON.stringify(verified.findings)).not.toMatch(/ann@|berlin@|1234567/);
      const email = verified.findings.find(({ paste }) => paste?.includes('"shops:*", holds: "email"'));
      expect(email?.paste).toBe(
        'keys:\n  "cache": [{ allow: "shops:*", holds: "email", why: "say why previews may see it" }, { allow: "by-mail:*" }]',
      );
      await client.flushall();
      await target.stop();
    });

    it.skipIf(type !== 'redis')(
      'takes only what expires in time where a rule says so, and refuses what a preview could not hold',
      async () => {
        const { client } = source;
        await client.set('a:short', '1', 'EX', 50);
        await client.set('a:long', '1', 'EX', 5_000);
        await client.set('a:ever', '1');
        const count = async (rules: readonly KeyRule[]) => {
          const target = await start('capture');
          const { verified } = await capture(rules, target);
          await target.stop();
          return verified.kept;
        };
        expect(await count([rule('a:*', { ttl: 60 })])).toBe(1);
        expect(await count([rule('a:*', { ttl: 'required' })])).toBe(2);
        expect(await count([rule('a:*', { types: ['hash'] })])).toBe(0);
        await client.set('big:1', Buffer.alloc(9 * 1024 * 1024, 'x'));
        for (let index = 0; index < 40; index += 1)
          await client.set(`much:${index}`, randomBytes(1024 * 1024));
        const target = await start('capture');
        const of = {
          service: 'cache',
          source: source.login,
          target: target.login,
          signal: soon(),
          line() {},
        };
        const copy = (allow: string) => copyKeys({ ...of, allowances: compileKeyRules([rule(allow)]) });
        expect((await copy('big:*')).findings).toMatchObject([
          { code: 'too-large', where: 'keys: cache', message: expect.stringContaining('1 keys') },
        ]);
        expect((await copy('much:*')).findings).toMatchObject([
          { code: 'too-large', message: expect.stringContaining('more than 32 MiB') },
        ]);
        // A signal ends it, and nothing that it says has a name in it.
        const aborted = copyKeys({ ...of, signal: AbortSignal.abort(), allowances: compileKeyRules([]) });
        await expect(aborted).rejects.toThrow();
        await target.stop();
        await expect(copy('a:*')).rejects.toMatchObject({ code: 'keys-not-copied', retryable: true });
        await client.flushall();
      },
    );
  });

test('a report says how many, of how many patterns, and what was left out', () => {
  const report = { patterns: [{ allow: 'a', keys: 2 }], kept: 2, queues: 0 } as Parameters<
    typeof keysWords
  >[0];
  expect(keysWords(report)).toBe('2 keys of 1 pattern');
  const more = { ...report, kept: 120, queues: 14, patterns: [{ allow: 'b', keys: 0 }, ...report.patterns] };
  expect(keysWords(more)).toBe('120 keys of 1 pattern, 1 pattern matched nothing, 14 left out as queues');
});
