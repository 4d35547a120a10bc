import { canonicalDigest } from '@bough/manifest/canonical-json';
import pg from 'pg';
import { type Catalogue, readCatalogue } from './catalogue.ts';
import { readCatalogues } from './mariadb/catalogue.ts';
import { withSession } from './mariadb/session.ts';
import type { PrivateServer } from './session.ts';

const connectTimeoutMs = 10_000;
const statementTimeoutMs = 30_000;
const databasesMax = 200;

/** One digest of all tables, columns, keys and types of a server. It is production's own: nothing is written, nothing is waited for. */
export async function readSchema(of: {
  kind: 'postgresql' | 'mariadb';
  server: PrivateServer;
  signal: AbortSignal;
}): Promise<string> {
  const catalogues =
    of.kind === 'mariadb'
      ? await withSession(of.server, of.signal, readCatalogues)
      : await readAll(of.server, of.signal);
  return canonicalDigest(catalogues.map(shapeOf));
}

/** Without what data alone changes: large objects, and partitions that come with time. */
function shapeOf({ database, tables, foreignKeys, materializedViews }: Catalogue): object {
  return {
    ...{ database, foreignKeys, materializedViews },
    tables: tables.map(({ leaves: _, ...table }) => table),
  };
}

async function readAll(server: PrivateServer, signal: AbortSignal): Promise<Catalogue[]> {
  const names = await readOnly(server, 'postgres', signal, async (client) => {
    const { rows } = await client.query<{ name: string }>(
      `select datname as name from pg_database where datallowconn and datname <> 'template0' order by datname limit ${databasesMax}`,
    );
    return rows.map(({ name }) => name);
  });
  const catalogues: Catalogue[] = [];
  for (const name of names) catalogues.push(await readOnly(server, name, signal, readCatalogue));
  return catalogues;
}

async function readOnly<Result>(
  server: PrivateServer,
  database: string,
  signal: AbortSignal,
  work: (client: pg.Client) => Promise<Result>,
): Promise<Result> {
  signal.throwIfAborted();
  const client = new pg.Client({
    ...{ host: server.host, port: server.port, user: server.username, password: server.password.reveal() },
    ...{ database, connectionTimeoutMillis: connectTimeoutMs, application_name: 'bough schema', ssl: false },
    ...{ statement_timeout: statementTimeoutMs, lock_timeout: 1_000 },
    options: '-c default_transaction_read_only=on -c search_path=pg_catalog,public',
  });
  client.on('error', () => {});
  const stop = () => void client.end().catch(() => {});
  signal.addEventListener('abort', stop, { once: true });
  try {
    await client.connect();
    return await work(client);
  } finally {
    signal.removeEventListener('abort', stop);
    await client.end().catch(() => {});
  }
}
