import { createWriteStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import pg from 'pg';
import { z } from 'zod';
import { connectDatabase } from './connect-database.ts';

/** What a dump says about itself: which migrations its rows belong to, and how many there must be. */
export const DatabaseDump = z.object({
  migrations: z.array(z.string()).min(1),
  /** Table name → rows. The rows are in `<table>.jsonl`, one JSON object per line as Postgres writes it. */
  tables: z.record(z.string(), z.int().nonnegative()),
});
export type DatabaseDump = z.infer<typeof DatabaseDump>;

/** Rows fetched at once: bounds memory, since a delivery's payload may have megabytes. */
const batchRows = 200;
const statementTimeoutMs = 10 * 60_000;

/**
 * Writes every table of Bough's own database below `directory`, as one transaction saw them: Bough may go on working.
 * Plain SQL instead of `pg_dump`, which the embedded Postgres does not have. The queues are left out: they hold keys of
 * looks, and resync enqueues those again.
 */
export async function dumpDatabase(options: {
  url: string;
  directory: string;
  signal?: AbortSignal | undefined;
}): Promise<DatabaseDump> {
  await mkdir(options.directory, { recursive: true, mode: 0o700 });
  const client = await connectDatabase(options.url, {
    statement_timeout: statementTimeoutMs,
    application_name: 'bough backup',
  });
  try {
    await client.query('begin isolation level repeatable read, read only');
    const migrations = await client.query<{ name: string }>('select name from migrations order by name');
    const tables: Record<string, number> = {};
    for (const name of await listTables(client)) {
      options.signal?.throwIfAborted();
      tables[name] = await dumpTable(client, name, join(options.directory, `${name}.jsonl`));
    }
    return { migrations: migrations.rows.map((row) => row.name), tables };
  } finally {
    await client.end();
  }
}

/** Bough's tables; `migrations` is not one of them, because restoring makes it anew. */
export async function listTables(client: pg.Client): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    `select relname as name from pg_class
     where relnamespace = 'public'::regnamespace and relkind = 'r' and relname <> 'migrations' order by relname`,
  );
  return rows.map((row) => row.name);
}

async function dumpTable(client: pg.Client, name: string, file: string): Promise<number> {
  const table = pg.escapeIdentifier(name);
  await client.query(
    `declare rows no scroll cursor for select row_to_json(${table})::text as row from ${table}`,
  );
  let count = 0;
  async function* lines() {
    for (;;) {
      const { rows } = await client.query<{ row: string }>(`fetch ${batchRows} from rows`);
      if (rows.length === 0) return;
      count += rows.length;
      yield rows.map(({ row }) => `${row}\n`).join('');
    }
  }
  await pipeline(Readable.from(lines()), createWriteStream(file, { mode: 0o600 }));
  await client.query('close rows');
  return count;
}
