import { join } from 'node:path';
import { startEmbeddedPostgres } from '@bough/boot/embedded-postgres';
import { Secret } from '@bough/domain/secret';
import { followFile } from '@bough/testkit/follow-file';
import { createTempHome } from '@bough/testkit/temp-home';
import { testToolchain } from '@bough/testkit/test-toolchain';
import pg from 'pg';
import type { ObservedServer } from '../src/session.ts';

/** A PostgreSQL of its own, whose log the observers may read and whose settings they may change. */
export interface RehearsalServer {
  readonly server: ObservedServer;
  log(signal: AbortSignal): AsyncIterable<string>;
  /** As the application's hook would: an ordinary connection, one text. */
  run(database: string, ...texts: string[]): Promise<pg.QueryResult[]>;
  remove(): Promise<void>;
}

export async function startRehearsalServer(): Promise<RehearsalServer> {
  const home = await createTempHome('rehearse');
  const running = await startEmbeddedPostgres({
    home: join(home.path, 'pg'),
    toolchain: await testToolchain(),
    log: { info: () => {}, warn: () => {} },
    isDurable: false,
  });
  const url = new URL(running.url);
  return {
    server: {
      host: url.hostname,
      port: running.port,
      username: decodeURIComponent(url.username),
      password: new Secret(decodeURIComponent(url.password)),
    },
    log: (signal) => followFile(join(home.path, 'pg', 'postgres.log'), signal),
    async run(database, ...texts) {
      const target = new URL(running.url);
      target.pathname = `/${database}`;
      const client = new pg.Client({ connectionString: target.toString() });
      client.on('error', () => {});
      await client.connect();
      try {
        const results: pg.QueryResult[] = [];
        for (const text of texts) results.push(await client.query(text));
        return results;
      } finally {
        await client.end();
      }
    },
    async remove() {
      await running.stop();
      await home.remove();
    },
  };
}
