import { join } from 'node:path';
import { systemClock } from '@bough/domain/clock';
import { createSources } from '@bough/forge/git/sources';
import { createPool } from '@bough/store/database';
import { createTempHome } from '@bough/testkit/temp-home';
import { createTestDatabase } from '@bough/testkit/test-database';
import type pg from 'pg';
import { git, type SandboxFixture, startSandboxFixture } from '../../forge/test/sandbox-fixture.ts';
import type { ObserveContext } from '../src/observe.ts';

type Fixture = Parameters<typeof startSandboxFixture>;

/** What observe has around it: real Postgres, real git, the GitHub driver, and the sandbox forge at its other end. */
export interface ObserveHarness {
  readonly pool: pg.Pool;
  readonly forge: SandboxFixture;
  /** Nothing is enqueued and nothing is logged, unless `over` says otherwise. */
  context(over?: Partial<ObserveContext>): ObserveContext;
  close(): Promise<void>;
}

export async function openObserveHarness(
  name: string,
  credentials: Fixture[0],
  options?: Fixture[1],
): Promise<ObserveHarness> {
  const database = await createTestDatabase();
  const pool = createPool({ url: database.url, max: 6, applicationName: 'test' });
  const home = await createTempHome(name);
  const forge = await startSandboxFixture(credentials, options);
  return {
    pool,
    forge,
    context: (over) => ({
      pool,
      clock: systemClock,
      installationId: 'i1',
      enqueue: async () => {},
      forge: () => forge.forge,
      sources: createSources(git, join(home.path, 'checkouts')),
      directories: { mirrors: join(home.path, 'mirrors'), dumps: join(home.path, 'dumps') },
      log: { info: () => undefined, warn: () => undefined, error: () => undefined },
      ...over,
    }),
    async close() {
      await forge.close();
      await pool.end();
      await database.drop();
      await home.remove();
    },
  };
}
