import { access, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { BoughError } from '@bough/domain/bough-error';
import type { Client } from 'pg';
import type { MaskingPlan } from './decide.ts';
import { compactTables, refreshViews, restoreReferences } from './masking-sql.ts';
import { runStatements } from './session.ts';

/**
 * Catalogues in which values of rows, or passwords and addresses of servers, leave their bytes: statistics, large objects,
 * and whatever people write into a schema (comments, labels, defaults, conditions, code) and have replaced since.
 */
const catalogues = [
  'pg_statistic',
  'pg_statistic_ext_data',
  'pg_statistic_ext',
  'pg_largeobject',
  'pg_largeobject_metadata',
  'pg_authid',
  'pg_user_mapping',
  'pg_foreign_server',
  'pg_foreign_table',
  'pg_subscription',
  'pg_db_role_setting',
  'pg_description',
  'pg_shdescription',
  'pg_seclabel',
  'pg_enum',
  'pg_attribute',
  'pg_attrdef',
  'pg_class',
  'pg_constraint',
  'pg_index',
  'pg_policy',
  'pg_proc',
  'pg_rewrite',
  'pg_trigger',
];
const ownObjects = 16_384;
const segmentsMax = 400;

/** Removes what masking left in one database: dead rows, statistics, materialized views, large objects. */
export async function scrubDatabase(
  client: Client,
  plan: MaskingPlan,
  beforeJoining: () => Promise<void> | undefined,
): Promise<void> {
  await runStatements(client, compactTables(plan), 'compacting');
  await runStatements(client, refreshViews(plan), 'refreshing');
  if (plan.dropsLargeObjects) await client.query('select count(lo_unlink(oid)) from pg_largeobject_metadata');
  if (plan.dropsComments) await dropComments(client);
  await client.query('delete from pg_statistic');
  // Not deleted: before PostgreSQL 15 its rows are made with the statistics object, and analyze wants to find them.
  await client.query(
    'update pg_statistic_ext_data set stxdndistinct = null, stxddependencies = null, stxdmcv = null, stxdexpr = null',
  );
  for (const name of catalogues) await client.query(`vacuum full pg_catalog.${name}`);
  await client.query(`do $$ begin
    if exists (select from pg_extension where extname = 'pg_stat_statements')
      and current_setting('shared_preload_libraries') like '%pg_stat_statements%' then
      execute (select format('select %I.pg_stat_statements_reset()', n.nspname) from pg_extension e
        join pg_namespace n on n.oid = e.extnamespace where e.extname = 'pg_stat_statements');
    end if; end $$`);
  await beforeJoining();
  // Its check of all rows is a query, and wants statistics.
  await client.query('analyze');
  await runStatements(client, restoreReferences(plan), 'checking the reference');
}

/**
 * Leaves no old log behind: writes on past every segment that was there, also those set aside for reuse, and has them
 * removed. After a clean stop what is left is the last checkpoint.
 */
export async function scrubLog(client: Client): Promise<void> {
  await client.query('alter system set wal_recycle = off');
  await client.query('select pg_reload_conf()');
  await client.query('checkpoint');
  const { rows } = await client.query<{ last: string | null }>(
    `select max(substr(name, 9)) as last from pg_ls_waldir() where name ~ '^[0-9A-F]{24}$'`,
  );
  const last = rows[0]?.last ?? '';
  for (let count = 0; ; count += 1) {
    const now = await client.query<{ current: string }>(
      'select substr(pg_walfile_name(pg_current_wal_insert_lsn()), 9) as current',
    );
    if ((now.rows[0]?.current ?? '') > last) break;
    if (count > segmentsMax)
      throw new BoughError({
        code: 'sanitize-failed',
        message: 'The write-ahead log of the captured copy could not be moved past its old segments.',
        hint: 'Bough tries again; nothing was cloned.',
        retryable: true,
      });
    await client.query("select pg_logical_emit_message(false, 'bough', '')");
    await client.query('select pg_switch_wal()');
  }
  await client.query('alter system reset wal_recycle');
  await client.query('checkpoint');
  // The first one may keep the segment before; the second begins after it.
  await client.query("select pg_logical_emit_message(false, 'bough', '')");
  await client.query('select pg_switch_wal()');
  await client.query('checkpoint');
}

/** But PostgreSQL's own. */
async function dropComments(client: Client): Promise<void> {
  await client.query(`delete from pg_description where objoid >= ${ownObjects}`);
  await client.query(`delete from pg_shdescription where objoid >= ${ownObjects}`);
}

/** `16384/2619`: the files that relations of this database are in. */
export async function listRelationFiles(client: Client): Promise<string[]> {
  const { rows } = await client.query<{ file: string }>(
    `select (select oid from pg_database where datname = current_database()) || '/' || pg_relation_filenode(oid) as file
     from pg_class where pg_relation_filenode(oid) is not null`,
  );
  return rows.map(({ file }) => file);
}

/**
 * Files beside the data, after the stop: logs, leftovers of queries, and relations that a crash of production left without
 * an entry in any catalogue. `directory`: the volume, or the cluster in it; `known`: `listRelationFiles` of each database.
 */
export async function scrubFiles(directory: string, known: ReadonlySet<string>): Promise<void> {
  const inside = await readdir(directory);
  if (!inside.includes('PG_VERSION')) {
    for (const name of inside)
      if (await isCluster(join(directory, name))) await scrubFiles(join(directory, name), known);
    return;
  }
  await removeOrphanFiles(join(directory, 'base'), known);
  for (const name of [
    'log',
    'pg_log',
    'base/pgsql_tmp',
    'postmaster.opts',
    'backup_label.old',
    'tablespace_map.old',
    'recovery.done',
  ])
    await rm(join(directory, name), { recursive: true, force: true });
}

/** Databases of which nothing is known (template0) are left alone. */
async function removeOrphanFiles(base: string, known: ReadonlySet<string>): Promise<void> {
  const databases = new Set([...known].map((file) => file.slice(0, file.indexOf('/'))));
  for (const database of databases) {
    for (const name of await readdir(join(base, database))) {
      const node = /^(\d+)(?:_(?:fsm|vm|init))?(?:\.\d+)?$/.exec(name)?.[1];
      if (node !== undefined && !known.has(`${database}/${node}`)) await rm(join(base, database, name));
    }
  }
}

function isCluster(directory: string): Promise<boolean> {
  return access(join(directory, 'PG_VERSION')).then(
    () => true,
    () => false,
  );
}
