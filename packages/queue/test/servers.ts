import { join } from 'node:path';
import { startEmbeddedPostgres } from '@bough/boot/embedded-postgres';
import { startEmbeddedRedis } from '@bough/boot/embedded-redis';
import { createTempHome } from '@bough/testkit/temp-home';
import { testToolchain } from '@bough/testkit/test-toolchain';
import type { QueueConnection } from '../src/backend.ts';

/** A queue store of its own, which the test can stop and start again at the same address. */
export interface TestStore {
  readonly connection: QueueConnection;
  stop(): Promise<void>;
  start(): Promise<void>;
  /** Nothing of it is left. */
  remove(): Promise<void>;
}

interface Server {
  readonly url: string;
  stop(): Promise<void>;
}

const log = { info() {}, warn() {} };

export function startRedis(): Promise<TestStore> {
  return startStore('redis', async (home) =>
    startEmbeddedRedis({ home, toolchain: await testToolchain(), log }),
  );
}

export function startPostgres(): Promise<TestStore> {
  return startStore('postgres', async (home) =>
    startEmbeddedPostgres({ home, toolchain: await testToolchain(), log, isDurable: false }),
  );
}

async function startStore(
  kind: QueueConnection['kind'],
  launch: (home: string) => Promise<Server>,
): Promise<TestStore> {
  const home = await createTempHome(`queue-${kind}`);
  const start = () => launch(join(home.path, kind));
  let server = await start();
  const { url } = server;
  return {
    connection: { kind, url },
    stop: () => server.stop(),
    async start() {
      server = await start();
      if (server.url !== url) throw new Error('the server came back at another address');
    },
    async remove() {
      await server.stop();
      await home.remove();
    },
  };
}
