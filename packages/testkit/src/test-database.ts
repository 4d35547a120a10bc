import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startEmbeddedPostgres } from '@bough/boot/embedded-postgres';
import { migrate } from '@bough/boot/migrate';
import pg from 'pg';
import { inject } from 'vitest';
import { createTempHome } from './temp-home.ts';
import { testToolchain } from './test-toolchain.ts';
import { waitFor } from './wait-for.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** The administration URL of the server that the whole run shares. */
    boughPostgresUrl: string;
  }
}

export const migrationsDirectory = fileURLToPath(new URL('../../../migrations', import.meta.url));

const templateName = 'bough_template';

export interface TestPostgres {
  /** A superuser's URL. */
  readonly url: string;
  stop(): Promise<void>;
}

/** A server of its own in a temporary home, not durable, with a migrated template database. */
export async function startTestPostgres(): Promise<TestPostgres> {
  const home = await createTempHome('postgres');
  const log = { info: () => {}, warn: () => {} };
  const toolchain = await testToolchain();
  const postgres = await startEmbeddedPostgres({
    home: join(home.path, 'pg'),
    toolchain,
    log,
    isDurable: false,
  });
  await withClient(postgres.url, (client) => client.query(`create database ${templateName}`));
  await migrate({ url: databaseUrl(postgres.url, templateName), directory: migrationsDirectory });
  return {
    url: postgres.url,
    async stop() {
      await postgres.stop();
      await home.remove();
    },
  };
}

export interface TestDatabase {
  readonly url: string;
  /** Fails when the test left connections open, and drops the database either way. */
  drop(): Promise<void>;
}

/**
 * A migrated database for one test file, cloned from the template. Needs the `integration` project, whose global set-up
 * starts the server; `adminUrl` names another one.
 */
export async function createTestDatabase(
  adminUrl: string = inject('boughPostgresUrl'),
): Promise<TestDatabase> {
  const name = `test_${randomBytes(6).toString('hex')}`;
  await withClient(adminUrl, (client) => client.query(`create database ${name} template ${templateName}`));
  return { url: databaseUrl(adminUrl, name), drop: () => dropDatabase(adminUrl, name) };
}

async function dropDatabase(adminUrl: string, name: string): Promise<void> {
  await withClient(adminUrl, async (client) => {
    try {
      await waitFor(
        'all connections to the test database to be closed',
        () => hasNoConnections(client, name),
        {
          timeoutMs: 3_000,
        },
      );
    } finally {
      await client.query(`drop database if exists ${name} with (force)`);
    }
  });
}

async function hasNoConnections(client: pg.Client, name: string): Promise<boolean> {
  const { rows } = await client.query<{ application_name: string; query: string }>(
    `select application_name, left(query, 200) as query from pg_stat_activity
     where datname = $1 and backend_type = 'client backend'`,
    [name],
  );
  if (rows.length > 0)
    throw new Error(rows.map((row) => `${row.application_name} "${row.query}"`).join(', '));
  return true;
}

/** The same server, another database. */
export function databaseUrl(url: string, name: string): string {
  const target = new URL(url);
  target.pathname = `/${name}`;
  return target.toString();
}

async function withClient<Result>(url: string, use: (client: pg.Client) => Promise<Result>): Promise<Result> {
  const client = new pg.Client({
    connectionString: url,
    connectionTimeoutMillis: 10_000,
    query_timeout: 60_000,
  });
  client.on('error', () => {});
  await client.connect();
  try {
    return await use(client);
  } finally {
    await client.end();
  }
}
