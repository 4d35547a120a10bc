import type { Client } from 'pg';
import { copyPart } from './copy-part.ts';
import { largeOf, listTables, partsOf, type SourceTable, type TablePart } from './large-tables.ts';
import type { SourceLogin } from './parse-source-url.ts';
import { sourceError, withSource } from './source-login.ts';
import { type DumpScope, dumpInto, type Transfer } from './transfer.ts';
import { withTarget } from './with-target.ts';

/** A table is read in parts of this size, and left to pg_dump below. */
const partBytesDefault = 128 * 1024 ** 2;
/** The first that finds rows by their pages without reading the table from its start. */
const majorMin = 14;

export interface ParallelLoad extends Transfer {
  /** How many may be open to the source at once, pg_dump's among them. */
  readonly connections: number;
  readonly sourceMajor: number;
  readonly line: (text: string) => void;
  readonly partBytes?: number;
}

/**
 * Reads a server by several connections that see one moment of it. pg_dump brings the definitions, then all rows but those
 * of large tables, which come beside it in parts from COPY to COPY, and behind them indexes and constraints. A server
 * without large tables is read by one pg_dump.
 */
export async function loadParallel(login: SourceLogin, of: ParallelLoad): Promise<void> {
  const isPossible = of.connections > 1 && of.sourceMajor >= majorMin;
  if (!(isPossible && (await loadParts(login, of)))) await dumpInto(login, of);
}

/** False, and nothing done, where no table is large. */
async function loadParts(login: SourceLogin, given: ParallelLoad): Promise<boolean> {
  const { partBytes = partBytesDefault, target } = given;
  // The first that fails stops all others, and its reason is theirs.
  const stop = new AbortController();
  const of = { ...given, stop, signal: AbortSignal.any([given.signal, stop.signal]) };
  return await withSource(login, { service: target.service, signal: of.signal }, async (holder) => {
    // While it is idle nobody else is told of its end, and the snapshot ends with it.
    holder.on('error', (error) => of.stop.abort(sourceError(error, login, target.service)));
    const tables = await listTables(holder);
    const large = largeOf(tables, partBytes);
    if (large.length === 0) return false;
    const snapshot = await holdSnapshot(holder, tables);
    const dump = (section: string, { flags = [], ...scope }: DumpScope = {}) => {
      const which = [`--snapshot=${snapshot}`, `--section=${section}`, ...flags];
      return dumpInto(login, of, { ...scope, flags: which });
    };
    await dump('pre-data');
    const rest = () => dump('data', { flags: large.map(({ name }) => `--exclude-table-data=${name}`) });
    const parts = large.flatMap((table) => partsOf(table, partBytes));
    await readTogether(login, { ...of, holder, snapshot, rest, parts });
    of.line(`large tables are read (${parts.length} parts); indexes and constraints are made`);
    // Making an index takes longer than reading what it is called, and an old snapshot is a burden on its server.
    await dump('post-data', { whenRead: () => void holder.end().catch(() => {}) });
    return true;
  });
}

/** Tables are locked before the snapshot is taken, so that none of them has changed its shape or gone within it. */
async function holdSnapshot(holder: Client, tables: readonly SourceTable[]): Promise<string> {
  // A holder is idle for as long as others read.
  await holder.query(
    `select set_config(name, '0', false) from pg_settings
     where name in ('idle_in_transaction_session_timeout', 'idle_session_timeout', 'transaction_timeout')`,
  );
  await holder.query('begin isolation level repeatable read read only');
  await holder.query(
    `lock table only ${tables.map(({ name }) => name).join(', only ')} in access share mode`,
  );
  await holder.query(readerSettings);
  const { rows } = await holder.query<{ id: string }>('select pg_export_snapshot() as id');
  const [row] = rows;
  if (row === undefined) throw new Error('a snapshot without a name');
  return row.id;
}

interface Reading extends ParallelLoad {
  readonly stop: AbortController;
  readonly holder: Client;
  readonly snapshot: string;
  /** What pg_dump brings of the rows. */
  readonly rest: () => Promise<void>;
  readonly parts: readonly TablePart[];
}

/** The holder of the snapshot reads too, and pg_dump's place is taken by another reader when it is done. */
async function readTogether(login: SourceLogin, of: Reading): Promise<void> {
  const next = takeFrom(of);
  const reader = () => readAsOther(login, of, next);
  const restThenReader = async () => {
    await of.rest();
    await reader();
  };
  const others = Array.from({ length: of.connections - 2 }, () => reader);
  const works = [() => readParts(login, of.holder, of, next), restThenReader, ...others];
  await Promise.all(works.map((work) => work().catch((error: unknown) => of.stop.abort(error))));
  of.signal.throwIfAborted();
  of.meter.at('');
}

type TakePart = () => TablePart | undefined;

/** Who takes a part says so, for people. */
function takeFrom({ parts, meter }: Reading): TakePart {
  let taken = 0;
  return () => {
    const part = parts[taken];
    if (part === undefined) return undefined;
    taken += 1;
    meter.at(`${part.name} (part ${taken} of ${parts.length} of large tables)`);
    return part;
  };
}

/** By a connection of its own, which sees what the holder sees. */
async function readAsOther(login: SourceLogin, of: Reading, next: TakePart): Promise<void> {
  await withSource(login, { service: of.target.service, signal: of.signal }, async (source) => {
    await source.query('begin isolation level repeatable read read only');
    await source.query(`set transaction snapshot '${of.snapshot}'`);
    await source.query(readerSettings);
    await readParts(login, source, of, next);
  });
}

async function readParts(login: SourceLogin, source: Client, of: Reading, next: TakePart): Promise<void> {
  const explain = (error: unknown) => sourceError(error, login, of.target.service);
  await withTarget(of.target, of.signal, async (target) => {
    await target.query(sameText);
    for (let part = next(); part !== undefined; part = next())
      await copyPart(part, { ...of, source, target, explain });
  });
}

/** As pg_dump and pg_restore set it: what one server writes is what the other reads. */
const sameText = `set datestyle = iso; set intervalstyle = postgres; set extra_float_digits = 3; set xmloption = content;
  set search_path = ''; set row_security = off`;

/** Beside that: no workers that nobody counted, and no whole table where some of its pages are meant. */
const readerSettings = `${sameText}; set max_parallel_workers_per_gather = 0; set enable_seqscan = off`;
