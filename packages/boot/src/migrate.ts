import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BoughError } from '@bough/domain/bough-error';
import pg from 'pg';
import { connectDatabase } from './connect-database.ts';

export interface MigrateOptions {
  readonly url: string;
  /** The directory of the files `NNNN-name.sql`. */
  readonly directory: string;
  /** Applies these and no others: a backup is loaded into the schema that it was taken from. */
  readonly only?: readonly string[] | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Any constant will do, as long as it never changes: two versions of Bough must not migrate at once. */
const lockKey = 4_726_910_331;
const lockTimeout = '5min';
const fileName = /^\d{4}-[a-z0-9][a-z0-9-]*\.sql$/;

/**
 * Brings a database to this version: each file in order, in a transaction of its own in which its row is inserted first,
 * so that of two starters one waits and then finds nothing to do. Returns the names that were applied.
 */
export async function migrate(options: MigrateOptions): Promise<string[]> {
  const files = await migrationFiles(options.directory);
  refuseNewer(
    (options.only ?? []).filter((name) => !files.includes(name)),
    'The backup is of',
  );
  const client = await connectDatabase(options.url);
  try {
    await client.query(`set lock_timeout = '${lockTimeout}'`);
    await client.query('select pg_advisory_lock($1)', [lockKey]);
    return await applyMissing(client, files, options);
  } finally {
    // Ending the session gives the lock back, whatever happened.
    await client.end();
  }
}

async function migrationFiles(directory: string): Promise<string[]> {
  const files = (await readdir(directory)).filter((name) => /^\d.*\.sql$/.test(name)).sort();
  const numbers = files.map((name) => name.slice(0, 4));
  const twice = files.find((_, index) => numbers.indexOf(numbers[index] ?? '') !== index);
  const malformed = files.find((name) => !fileName.test(name)) ?? twice;
  if (malformed === undefined) return files;
  throw new BoughError({
    code: 'migration-misnamed',
    message: `${join(directory, malformed)} is not named NNNN-what-it-does.sql with a number of its own.`,
    hint: 'Give it the next free number.',
  });
}

async function applyMissing(client: pg.Client, files: string[], options: MigrateOptions): Promise<string[]> {
  await client.query(
    'create table if not exists migrations (name text primary key, applied_at timestamptz not null default now())',
  );
  const { rows } = await client.query<{ name: string }>('select name from migrations order by name');
  const known = rows.map((row) => row.name);
  refuseNewer(
    known.filter((name) => !files.includes(name)),
    'The database was used by',
  );
  const wanted = options.only ?? files;
  const missing = files.filter((name) => wanted.includes(name) && !known.includes(name));
  for (const name of missing) {
    options.signal?.throwIfAborted();
    await applyOne(client, name, await readFile(join(options.directory, name), 'utf8'));
  }
  return missing;
}

function refuseNewer(unknown: readonly string[], what: string): void {
  if (unknown.length === 0) return;
  throw new BoughError({
    code: 'database-newer',
    message: `${what} a newer Bough: this version does not know ${unknown.join(', ')}.`,
    hint: 'Start that newer version, or restore the backup from before it and start this one.',
  });
}

async function applyOne(client: pg.Client, name: string, sql: string): Promise<void> {
  await client.query('begin');
  try {
    await client.query('insert into migrations (name) values ($1)', [name]);
    await client.query(sql);
    await client.query('commit');
  } catch (cause) {
    await client.query('rollback').catch(() => undefined);
    throw migrationFailure(name, sql, cause);
  }
}

function migrationFailure(name: string, sql: string, cause: unknown): BoughError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  const position = cause instanceof pg.DatabaseError ? Number(cause.position) : Number.NaN;
  const line = Number.isNaN(position) ? '' : `:${sql.slice(0, position).split('\n').length}`;
  return new BoughError({
    code: 'migration-failed',
    message: `Migration ${name}${line} failed: ${reason}.`,
    hint: 'Nothing of it was kept. Correct the cause and start again.',
    cause,
  });
}
