import { cp } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { startEmbeddedPostgres } from '@bough/boot/embedded-postgres';
import { Secret } from '@bough/domain/secret';
import { createTempHome } from '@bough/testkit/temp-home';
import { testToolchain } from '@bough/testkit/test-toolchain';
import pg from 'pg';
import type { PrivateServer } from '../src/session.ts';

/** A PostgreSQL for one test file, whose files the test may read once it is stopped. */
export interface TestServer {
  readonly server: PrivateServer;
  readonly cluster: string;
  query<Row extends pg.QueryResultRow>(database: string, sql: string, values?: unknown[]): Promise<Row[]>;
  stop(): Promise<void>;
  remove(): Promise<void>;
}

export async function startTestServer(of: { major?: number; copyOf?: string } = {}): Promise<TestServer> {
  const home = await createTempHome('sanitize');
  const directory = join(home.path, 'pg');
  // With the password file beside the cluster: a clone's roles are those of its golden.
  if (of.copyOf !== undefined)
    await cp(dirname(of.copyOf), directory, { recursive: true, preserveTimestamps: true });
  const running = await startEmbeddedPostgres({
    home: directory,
    ...(of.major === undefined ? {} : { major: of.major }),
    toolchain: await testToolchain(),
    log: { info: () => {}, warn: () => {} },
    isDurable: false,
  });
  const url = new URL(running.url);
  let stopped: Promise<void> | undefined;
  const stop = () => {
    stopped ??= running.stop();
    return stopped;
  };
  return {
    server: {
      host: url.hostname,
      port: running.port,
      username: decodeURIComponent(url.username),
      password: new Secret(decodeURIComponent(url.password)),
    },
    cluster: join(home.path, 'pg', 'data'),
    async query<Row extends pg.QueryResultRow>(database: string, sql: string, values?: unknown[]) {
      const target = new URL(running.url);
      target.pathname = `/${database}`;
      const client = new pg.Client({ connectionString: target.toString() });
      await client.connect();
      try {
        // Text with several statements gives one result for each: the last counts.
        const result: pg.QueryResult<Row> | pg.QueryResult<Row>[] = await client.query<Row>(sql, values);
        return (Array.isArray(result) ? result.at(-1) : result)?.rows ?? [];
      } finally {
        await client.end();
      }
    },
    stop,
    async remove() {
      await stop();
      await home.remove();
    },
  };
}
