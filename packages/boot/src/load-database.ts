import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { BoughError } from '@bough/domain/bough-error';
import pg from 'pg';
import { connectDatabase } from './connect-database.ts';
import { type DatabaseDump, listTables } from './dump-database.ts';
import { migrate } from './migrate.ts';

const batchRows = 200;
/** Bytes of one insert: rows of deliveries are large. */
const batchCharacters = 8 * 1024 * 1024;

export interface LoadOptions {
  readonly url: string;
  readonly migrationsDirectory: string;
  readonly dump: DatabaseDump;
  /** Where the dump's `.jsonl` files are. */
  readonly directory: string;
  /** Runs in the same transaction, behind the last row: what it throws undoes everything. */
  readonly settle: (client: pg.Client) => Promise<void>;
}

/**
 * Puts a dump into a database that has no projects yet, in one transaction: all of it or nothing. The schema is first
 * brought to where it was when the dump was taken, and afterwards to this version.
 */
export async function loadDatabase(options: LoadOptions): Promise<void> {
  const { url, dump } = options;
  await migrate({ url, directory: options.migrationsDirectory, only: dump.migrations });
  const client = await connectDatabase(url);
  try {
    await client.query('begin');
    await refuseOccupied(client, dump);
    const constraints = await dropForeignKeys(client);
    for (const [name, rows] of Object.entries(dump.tables)) await loadTable(client, name, rows, options);
    for (const { relation, name, definition } of constraints) {
      await client.query(`alter table ${relation} add constraint ${pg.escapeIdentifier(name)} ${definition}`);
    }
    await options.settle(client);
    await client.query('commit');
  } finally {
    // Ending the session takes back what was not committed.
    await client.end();
  }
  await migrate({ url, directory: options.migrationsDirectory });
}

async function refuseOccupied(client: pg.Client, dump: DatabaseDump): Promise<void> {
  const tables = await listTables(client);
  const applied = await client.query<{ name: string }>('select name from migrations order by name');
  const isSame = applied.rows.map((row) => row.name).join() === dump.migrations.join();
  const { rows } = await client.query('select 1 from projects limit 1');
  if (rows.length > 0 || !isSame) {
    throw new BoughError({
      code: 'restore-occupied',
      message:
        rows.length > 0
          ? 'The database to restore into has projects already.'
          : 'The database to restore into was migrated further than the backup.',
      hint: 'Restore into an empty database, or into a BOUGH_HOME that does not exist yet. Nothing was changed.',
    });
  }
  const foreign = Object.keys(dump.tables).find((name) => !tables.includes(name));
  if (foreign !== undefined) throw damaged(`it has a table "${foreign}" that its migrations do not make`);
  // What a first start of Bough wrote there: the installation's id and nothing else of worth.
  await client.query(`truncate ${tables.map((name) => pg.escapeIdentifier(name)).join(', ')}`);
}

/** Rows come table by table, and some tables point at each other. */
async function dropForeignKeys(
  client: pg.Client,
): Promise<{ relation: string; name: string; definition: string }[]> {
  const { rows } = await client.query<{ relation: string; name: string; definition: string }>(
    `select conrelid::regclass::text as relation, conname as name, pg_get_constraintdef(oid) as definition
     from pg_constraint where contype = 'f' and connamespace = 'public'::regnamespace`,
  );
  for (const { relation, name } of rows)
    await client.query(`alter table ${relation} drop constraint ${pg.escapeIdentifier(name)}`);
  return rows;
}

async function loadTable(
  client: pg.Client,
  name: string,
  expected: number,
  { directory }: LoadOptions,
): Promise<void> {
  const table = pg.escapeIdentifier(name);
  const columns = await writableColumns(client, name);
  const list = columns.map((column) => pg.escapeIdentifier(column)).join(', ');
  const insert = `insert into ${table} (${list}) overriding system value
    select ${list} from json_populate_recordset(null::${table}, $1::json)`;
  let loaded = 0;
  for await (const rows of batches(join(directory, `${name}.jsonl`))) {
    await client.query(insert, [`[${rows.join(',')}]`]);
    loaded += rows.length;
  }
  if (loaded !== expected) throw damaged(`"${name}" has ${loaded} of ${expected} rows`);
  for (const column of columns) await continueSequence(client, { name, table, column });
}

async function* batches(file: string): AsyncGenerator<string[]> {
  let rows: string[] = [];
  let characters = 0;
  for await (const line of createInterface({ input: createReadStream(file), crlfDelay: Infinity })) {
    rows.push(line);
    characters += line.length;
    if (rows.length < batchRows && characters < batchCharacters) continue;
    yield rows;
    rows = [];
    characters = 0;
  }
  if (rows.length > 0) yield rows;
}

async function writableColumns(client: pg.Client, table: string): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    `select attname as name from pg_attribute
     where attrelid = $1::regclass and attnum > 0 and not attisdropped and attgenerated = '' order by attnum`,
    [pg.escapeIdentifier(table)],
  );
  return rows.map((row) => row.name);
}

/** New rows get ids behind those that were restored. */
async function continueSequence(
  client: pg.Client,
  { name, table, column }: { name: string; table: string; column: string },
): Promise<void> {
  const { rows } = await client.query<{ sequence: string | null }>(
    'select pg_get_serial_sequence($1, $2) as sequence',
    [table, column],
  );
  const sequence = rows[0]?.sequence;
  if (sequence === null || sequence === undefined) return;
  const id = pg.escapeIdentifier(column);
  await client.query(
    `select setval($1::regclass, coalesce(max(${id}), 1), max(${id}) is not null) from ${pg.escapeIdentifier(name)}`,
    [sequence],
  );
}

function damaged(what: string): BoughError {
  return new BoughError({
    code: 'backup-damaged',
    message: `The backup is damaged: ${what}.`,
    hint: 'Take another one. Nothing was changed.',
  });
}
