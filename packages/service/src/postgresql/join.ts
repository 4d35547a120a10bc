import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { copyFile, lstat, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { BoughError } from '@bough/domain/bough-error';
import type { Client } from 'pg';
import type { Address, Credentials, SnapshotParticipation } from '../service.ts';
import { connect, disconnect } from './connection.ts';
import { clusterFolder } from './program.ts';

/**
 * An online backup (PostgreSQL's "low-level API") around a copy of the files: what is copied between `begin` and `end`
 * may be torn, and the write-ahead log of that time, copied last, mends it at the copy's first start.
 *
 * Backup mode belongs to the connection: when that ends, however it ends, the server is out of it.
 */
export function postgresJoin(address: Address, credentials: Credentials): SnapshotParticipation {
  let client: Client | undefined;
  return {
    async begin() {
      client = await connect(address, credentials, { statementTimeoutMs: 15 * 60_000 });
      try {
        await refuseTablespaces(client);
        await reserveWal(client);
        await startBackup(client);
      } catch (error) {
        await disconnect(client);
        client = undefined;
        throw error;
      }
    },
    async end({ source, copy }) {
      if (!client) throw new Error('end() before begin()');
      const [from, to] = [join(source, clusterFolder), join(copy, clusterFolder)];
      await copyControlFile(from, to);
      const backup = await stopBackup(client);
      await forgetRunningServer(to);
      await replaceWal(from, to, backup);
      await rm(join(to, 'backup_label'), { force: true });
      await writeFile(join(to, 'backup_label'), backup.label, { mode: 0o600, flag: 'wx' });
    },
    async release() {
      if (client) await disconnect(client);
      client = undefined;
    },
  };
}

interface StoppedBackup {
  readonly label: string;
  readonly firstSegment: string;
  readonly lastSegment: string;
  readonly segmentBytes: number;
}

async function refuseTablespaces(client: Client): Promise<void> {
  const { rows } = await client.query<{ spcname: string }>(
    `select spcname from pg_tablespace where spcname not in ('pg_default', 'pg_global')`,
  );
  if (rows.length === 0) return;
  throw new BoughError({
    code: 'capture-refused',
    message: `The database keeps data outside its volume, in the tablespace ${rows[0]?.spcname}, so it cannot be copied whole.`,
    hint: 'Move those tables to pg_default (alter table … set tablespace pg_default) and drop the tablespace.',
  });
}

/** Keeps the log of the copy's duration from being recycled. It goes with the connection. */
async function reserveWal(client: Client): Promise<void> {
  const name = `bough_${randomBytes(6).toString('hex')}`;
  try {
    await client.query('select pg_create_physical_replication_slot($1, true, true)', [name]);
  } catch (error) {
    // 55000 and 53400: no slots are allowed here, or all are in use. The copy then depends on max_wal_size, and
    // replaceWal says so if that was not enough.
    const code = (error as { code?: string }).code;
    if (code !== '55000' && code !== '53400') throw error;
  }
}

async function startBackup(client: Client): Promise<void> {
  const call = (await isBefore15(client))
    ? `pg_start_backup('bough', true, false)`
    : `pg_backup_start('bough', fast => true)`;
  try {
    await client.query(`select ${call}`);
  } catch (cause) {
    // 55000: its settings forbid it. Anything else (it ended, for want of disk say) may be otherwise the next time.
    if ((cause as { code?: string }).code !== '55000') throw backupNotBegun(cause);
    throw new BoughError({
      code: 'capture-refused',
      message: `PostgreSQL cannot be copied while it runs: ${cause instanceof Error ? cause.message : cause}.`,
      hint: 'Set wal_level to replica, or put the volumes on btrfs, where a snapshot is one instant.',
      cause,
    });
  }
}

function backupNotBegun(cause: unknown): BoughError {
  return new BoughError({
    code: 'capture-failed',
    message: `PostgreSQL did not begin the copy: ${cause instanceof Error ? cause.message : cause}.`,
    hint: 'Its own log says why it ended (a full disk is the usual reason). Bough tries again by itself.',
    retryable: true,
    cause,
  });
}

async function stopBackup(client: Client): Promise<StoppedBackup> {
  const call = (await isBefore15(client))
    ? 'pg_stop_backup(false, false)'
    : 'pg_backup_stop(wait_for_archive => false)';
  const { rows } = await client.query<{ lsn: string; labelfile: string }>(
    `select lsn::text, labelfile from ${call}`,
  );
  const [stopped] = rows;
  const firstSegment = /\(file ([0-9A-F]{24})\)/.exec(stopped?.labelfile ?? '')?.[1];
  if (!stopped || firstSegment === undefined) throw new Error('pg_backup_stop answered no backup label');
  const answer = await client.query<{ last: string; bytes: string }>(
    `select pg_walfile_name($1::pg_lsn) as last, setting::bigint as bytes
     from pg_settings where name = 'wal_segment_size'`,
    [stopped.lsn],
  );
  return {
    label: stopped.labelfile,
    firstSegment,
    lastSegment: answer.rows[0]?.last ?? firstSegment,
    segmentBytes: Number(answer.rows[0]?.bytes),
  };
}

async function isBefore15(client: Client): Promise<boolean> {
  const { rows } = await client.query<{ number: number }>(
    `select current_setting('server_version_num')::int as number`,
  );
  return (rows[0]?.number ?? 0) < 150_000;
}

/**
 * The control file is rewritten in place at every checkpoint, so a copy of it can be torn; it is read again until two
 * readings agree. Newer than the rest is right: pg_basebackup too copies it last.
 */
async function copyControlFile(from: string, to: string): Promise<void> {
  const file = join('global', 'pg_control');
  for (let attempt = 0; attempt < 20; attempt += 1) {
    const first = await readFile(join(from, file));
    await delay(5);
    if (!first.equals(await readFile(join(from, file)))) continue;
    await writeFile(join(to, file), first);
    return;
  }
  throw new Error('pg_control never stopped changing');
}

/** Folders whose contents are worthless or harmful in a copy; pg_basebackup leaves out the same. */
const volatileFolders = [
  'pg_dynshmem',
  'pg_notify',
  'pg_replslot',
  'pg_serial',
  'pg_snapshots',
  'pg_stat_tmp',
  'pg_subtrans',
];

async function forgetRunningServer(cluster: string): Promise<void> {
  for (const file of ['postmaster.pid', 'postmaster.opts', 'tablespace_map']) {
    await rm(join(cluster, file), { force: true });
  }
  for (const folder of volatileFolders) await emptyFolder(join(cluster, folder));
}

async function emptyFolder(folder: string): Promise<void> {
  for (const name of await readdir(folder).catch((): string[] => [])) {
    await rm(join(folder, name), { recursive: true, force: true });
  }
}

/** The copy's own pg_wal is a mixture of moments; only the segments of the backup, whole, take its place. */
async function replaceWal(from: string, to: string, backup: StoppedBackup): Promise<void> {
  const [source, target] = [join(from, 'pg_wal'), join(to, 'pg_wal')];
  if (!(await lstat(target)).isDirectory()) throw walElsewhere();
  for (const entry of await readdir(target, { withFileTypes: true })) {
    if (entry.isDirectory()) await emptyFolder(join(target, entry.name));
    else await rm(join(target, entry.name), { force: true });
  }
  const histories = (await readdir(source)).filter((name) => /^[0-9A-F]{8}\.history$/.test(name));
  for (const name of [...histories, ...segmentNames(backup)]) {
    await waitForFile(join(source, name));
    await copyFile(join(source, name), join(target, name), constants.COPYFILE_FICLONE);
  }
}

/** From the segment with the starting checkpoint to the one with the end of the backup, on one timeline. */
function segmentNames({ firstSegment, lastSegment, segmentBytes }: StoppedBackup): string[] {
  const timeline = firstSegment.slice(0, 8);
  if (lastSegment.slice(0, 8) !== timeline) throw new Error('the timeline changed during the backup');
  const perLog = 0x1_0000_0000 / segmentBytes;
  const numberOf = (name: string) =>
    Number.parseInt(name.slice(8, 16), 16) * perLog + Number.parseInt(name.slice(16), 16);
  const hex = (value: number) => value.toString(16).toUpperCase().padStart(8, '0');
  const names: string[] = [];
  for (let number = numberOf(firstSegment); number <= numberOf(lastSegment); number += 1) {
    names.push(`${timeline}${hex(Math.floor(number / perLog))}${hex(number % perLog)}`);
  }
  return names;
}

async function waitForFile(path: string): Promise<void> {
  const deadline = Date.now() + 10_000;
  for (;;) {
    if (await stat(path).catch(() => undefined)) return;
    if (Date.now() > deadline) throw walRecycled(path);
    await delay(50);
  }
}

function walRecycled(path: string): BoughError {
  return new BoughError({
    code: 'capture-failed',
    message: `The write-ahead log ${path} was recycled while the database was copied.`,
    hint: 'Raise max_replication_slots so that Bough can reserve it, or max_wal_size.',
    retryable: true,
  });
}

function walElsewhere(): BoughError {
  return new BoughError({
    code: 'capture-refused',
    message: 'The database keeps its write-ahead log outside its volume (pg_wal is a link).',
    hint: 'Move pg_wal back into the data directory.',
  });
}
