import type { Client } from 'pg';

/** Their names are on pg_dump's command line. */
const largeMax = 200;

/** A table of the source as it was just before the snapshot. */
export interface SourceTable {
  /** Quoted, with its schema. */
  readonly name: string;
  /** Quoted; without those that are computed, which nobody can write. */
  readonly columns: string;
  /** With what is stored beside its rows because it is wide. */
  readonly bytes: number;
  /** Of its rows only. */
  readonly pages: number;
  /** Whether its rows go from COPY to COPY as pg_dump would bring them. */
  readonly isPlain: boolean;
}

/** A table, or some of its pages. */
export interface TablePart {
  readonly name: string;
  readonly columns: string;
  readonly where: string;
}

/** Every table that can be read and locked: what cannot is pg_dump's to complain of. */
export async function listTables(source: Client): Promise<readonly SourceTable[]> {
  const { rows } = await source.query<SourceTable>(tablesQuery);
  return rows;
}

/**
 * Left to pg_dump are tables of extensions (it knows which of their rows are not the extension's own), unlogged ones (a
 * standby has none of their rows), those of other storage than the usual (it may know no pages), names that another encoding
 * than ours would write otherwise, and what is partitioned by the hash of an enum: another server has other hashes.
 */
const tablesQuery = `
  select format('%I.%I', n.nspname, c.relname) as name, columns.names as columns,
    coalesce(pg_table_size(c.oid), 0)::float8 as bytes,
    coalesce(pg_relation_size(c.oid) / current_setting('block_size')::int, 0)::float8 as pages,
    c.relkind = 'r' and c.relpersistence = 'p' and columns.names is not null
      and n.nspname || c.relname ~ '^[ -~]+$'
      and c.relam in (select oid from pg_am where amname = 'heap')
      and not exists (
        select from pg_partition_ancestors(c.oid) as ancestor (id)
        join pg_partitioned_table p on p.partrelid = ancestor.id
        join pg_opclass o on o.oid = any (p.partclass)
        where p.partstrat = 'h' and o.opcintype = 'anyenum'::regtype) as "isPlain"
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  cross join lateral (
    select string_agg(quote_ident(attname), ', ' order by attnum) as names from pg_attribute
    where attrelid = c.oid and attnum > 0 and not attisdropped and attgenerated = '') as columns
  where c.relkind in ('r', 'p') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    and has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select')
    and not exists (
      select from pg_depend d
      where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
  order by 1`;

/** The largest of those that are worth parts of their own. Pure. */
export function largeOf(tables: readonly SourceTable[], partBytes: number): readonly SourceTable[] {
  return tables
    .filter(({ isPlain, bytes }) => isPlain && bytes >= partBytes)
    .sort((a, b) => b.bytes - a.bytes)
    .slice(0, largeMax);
}

/** Of about so many bytes each. The last has no end, so that no row is missed whatever was added since. Pure. */
export function partsOf(table: SourceTable, partBytes: number): readonly TablePart[] {
  const { name, columns, bytes, pages } = table;
  const step = Math.max(1, Math.ceil(pages / Math.ceil(bytes / partBytes)));
  const firsts = Array.from({ length: Math.max(1, Math.ceil(pages / step)) }, (_, index) => index * step);
  return firsts.map((first, index) => {
    const end = firsts[index + 1];
    const before = end === undefined ? '' : ` and ctid < '(${end},0)'`;
    return { name, columns, where: `ctid >= '(${first},0)'${before}` };
  });
}
