import type { Client } from 'pg';

/** What one database holds, as far as masking must know it. Names are raw: quoting is for whoever writes SQL. */
export interface Catalogue {
  readonly database: string;
  readonly tables: readonly Table[];
  readonly foreignKeys: readonly ForeignKey[];
  /** In the order of their making, so that each comes after those that it reads. */
  readonly materializedViews: readonly { readonly schema: string; readonly name: string }[];
  readonly largeObjects: number;
}

export interface Table {
  readonly schema: string;
  readonly name: string;
  /** `partitioned` stands for its partitions, which are not listed; `inherited` is a child or parent of the older kind. */
  readonly kind: 'table' | 'partitioned' | 'inherited';
  /** The tables with rows of their own that make it up: itself, or its partitions. */
  readonly leaves: readonly { readonly schema: string; readonly name: string }[];
  readonly columns: readonly Column[];
  /** Columns of each unique index that holds for all rows, the primary key first. */
  readonly uniques: readonly (readonly string[])[];
}

/** What a value is once domains and arrays are taken off. */
export type TypeClass =
  | 'text'
  | 'number'
  | 'boolean'
  | 'time'
  | 'enum'
  | 'uuid'
  | 'network'
  | 'bytes'
  | 'json'
  | 'hstore'
  | 'composite'
  | 'other';

export interface Column {
  readonly name: string;
  /** As SQL writes it: `character varying(40)[]`, `public.email_address`. */
  readonly type: string;
  readonly typeClass: TypeClass;
  /** The innermost type: `varchar`, `int4`, `citext`. */
  readonly baseType: string;
  readonly isArray: boolean;
  /** Of text with a bound; also through a domain. */
  readonly maxLength: number | null;
  /** Quoted, when it is not the type's own. */
  readonly collation: string | null;
  readonly notNull: boolean;
  readonly generated: boolean;
  readonly inPrimaryKey: boolean;
  /** In a unique index of any kind, also a partial one or an exclusion constraint. */
  readonly unique: boolean;
  /** Unique by itself. */
  readonly uniqueAlone: boolean;
  readonly inPartitionKey: boolean;
  /** Of a composite, or an array of them: its type, and what it is made of. */
  readonly row?: { readonly type: string; readonly attributes: readonly Column[] };
  /** Views, policies, triggers and generated columns that name it: its type cannot be altered under them. */
  readonly dependents: readonly string[];
}

export interface ForeignKey {
  readonly schema: string;
  readonly table: string;
  readonly name: string;
  readonly columns: readonly string[];
  readonly target: { readonly schema: string; readonly table: string; readonly columns: readonly string[] };
  /** `pg_get_constraintdef`. */
  readonly definition: string;
  readonly setsNull: boolean;
}

/** The database's names must be in the session's search path as they will be when the statements run. */
export async function readCatalogue(client: Client): Promise<Catalogue> {
  const types = await readTypes(client);
  const attributes = await readAttributes(client);
  const tables = await client.query<TableRow>(tablesQuery);
  const columns = await client.query<ColumnRow>(columnsQuery);
  const keys = await client.query<ForeignKey>(foreignKeysQuery);
  const views = await client.query<{ schema: string; name: string }>(materializedViewsQuery);
  const other = await client.query<{ database: string; large_objects: number }>(
    `select current_database() as database, (select count(*)::int from pg_largeobject_metadata) as large_objects`,
  );
  const byTable = new Map<string, ColumnRow[]>();
  for (const column of columns.rows)
    byTable.set(column.table_oid, [...(byTable.get(column.table_oid) ?? []), column]);
  return {
    database: other.rows[0]?.database ?? '',
    tables: tables.rows.map((table) => ({
      schema: table.schema,
      name: table.name,
      kind: table.kind,
      leaves: table.leaves,
      uniques: table.uniques,
      columns: (byTable.get(table.oid) ?? []).map((column) =>
        describeColumn({ types, attributes }, column, table.uniques),
      ),
    })),
    foreignKeys: keys.rows,
    materializedViews: views.rows,
    largeObjects: other.rows[0]?.large_objects ?? 0,
  };
}

interface TypeRow {
  readonly oid: string;
  readonly name: string;
  readonly kind: string;
  readonly category: string;
  readonly base: string;
  readonly typmod: number;
  readonly element: string;
  readonly sql: string;
}

/** Of composite types by their oid. */
type Attributes = ReadonlyMap<string, readonly AttributeRow[]>;

interface AttributeRow {
  readonly owner: string;
  readonly name: string;
  readonly type: string;
  readonly type_oid: string;
  readonly typmod: number;
}

/** A table's rows are a composite type as well. */
async function readAttributes(client: Client): Promise<Attributes> {
  const { rows } = await client.query<AttributeRow>(
    `select t.oid::text as owner, a.attname as name, format_type(a.atttypid, a.atttypmod) as type,
       a.atttypid::text as type_oid, a.atttypmod as typmod
     from pg_type t join pg_attribute a on a.attrelid = t.typrelid
     where t.typtype = 'c' and a.attnum > 0 and not a.attisdropped and t.oid >= 16384 order by t.oid, a.attnum`,
  );
  const attributes = new Map<string, AttributeRow[]>();
  for (const row of rows) attributes.set(row.owner, [...(attributes.get(row.owner) ?? []), row]);
  return attributes;
}

async function readTypes(client: Client): Promise<ReadonlyMap<string, TypeRow>> {
  const { rows } = await client.query<TypeRow>(
    `select oid::text, typname as name, typtype::text as kind, typcategory::text as category, typbasetype::text as base,
       typtypmod as typmod, typelem::text as element, format_type(oid, null) as sql from pg_type`,
  );
  return new Map(rows.map((row) => [row.oid, row]));
}

interface TableRow extends Table {
  readonly oid: string;
}

/**
 * Own tables of the database, extensions' configuration tables too. Partitions are left to their root, and foreign
 * tables out: their rows are elsewhere and the way there was cut.
 */
const tablesQuery = `
  select c.oid::text, n.nspname as schema, c.relname as name,
    case when c.relkind = 'p' then 'partitioned'
         when exists (select from pg_inherits i where c.oid in (i.inhrelid, i.inhparent)) then 'inherited'
         else 'table' end as kind,
    case when c.relkind = 'p' then
      (select coalesce(json_agg(json_build_object('schema', ln.nspname, 'name', l.relname) order by l.oid), '[]')
       from pg_partition_tree(c.oid) p join pg_class l on l.oid = p.relid and l.relkind = 'r'
       join pg_namespace ln on ln.oid = l.relnamespace)
      else json_build_array(json_build_object('schema', n.nspname, 'name', c.relname)) end as leaves,
    (select coalesce(json_agg(u.columns order by u.is_primary desc, u.oid), '[]') from (
       select x.indexrelid as oid, x.indisprimary as is_primary,
         (select json_agg(a.attname order by k.n) from unnest(x.indkey::int2[]) with ordinality k(attnum, n)
          join pg_attribute a on a.attrelid = x.indrelid and a.attnum = k.attnum where k.n <= x.indnkeyatts) as columns
       from pg_index x where x.indrelid = c.oid and x.indisunique and x.indpred is null and x.indexprs is null) u
    ) as uniques
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('r', 'p') and not c.relispartition and c.relpersistence <> 't'
    and n.nspname not in ('pg_catalog', 'information_schema') and n.nspname !~ '^pg_(toast|temp)'
  order by n.nspname, c.relname`;

interface ColumnRow {
  readonly table_oid: string;
  readonly name: string;
  readonly type: string;
  readonly type_oid: string;
  readonly typmod: number;
  readonly collation: string | null;
  readonly not_null: boolean;
  readonly generated: boolean;
  readonly in_primary_key: boolean;
  readonly in_unique: boolean;
  readonly in_partition_key: boolean;
  readonly dependents: string[];
}

/** An expression index names no column in indkey, so uniqueness is read from the dependencies as well. */
const columnsQuery = `
  select a.attrelid::text as table_oid, a.attname as name, format_type(a.atttypid, a.atttypmod) as type,
    a.atttypid::text as type_oid, a.atttypmod as typmod, a.attnotnull as not_null, a.attgenerated <> '' as generated,
    (select quote_ident(cn.nspname) || '.' || quote_ident(co.collname) from pg_collation co
     join pg_namespace cn on cn.oid = co.collnamespace
     where co.oid = a.attcollation and a.attcollation <> t.typcollation) as collation,
    exists (select from pg_index x where x.indrelid = a.attrelid and x.indisprimary
      and a.attnum = any (x.indkey)) as in_primary_key,
    exists (select from pg_index x where x.indrelid = a.attrelid and (x.indisunique or x.indisexclusion)
      and (a.attnum = any (x.indkey) or exists (select from pg_depend d where d.classid = 'pg_class'::regclass
        and d.objid = x.indexrelid and d.refobjid = a.attrelid and d.refobjsubid = a.attnum))) as in_unique,
    exists (select from pg_partitioned_table p where p.partrelid in
        (select relid from pg_partition_tree(a.attrelid)) and (p.partexprs is not null or exists
        (select from pg_attribute k where k.attrelid = p.partrelid and k.attname = a.attname
         and k.attnum = any (p.partattrs)))) as in_partition_key,
    (select coalesce(json_agg(distinct described), '[]') from (
       select pg_describe_object(d.classid, d.objid, d.objsubid) as described
       from pg_attribute own join pg_depend d on d.refobjid = own.attrelid and d.refobjsubid = own.attnum
       where own.attname = a.attname and d.refclassid = 'pg_class'::regclass
         and own.attrelid in (select a.attrelid union all select relid from pg_partition_tree(a.attrelid))
         and d.classid not in ('pg_class'::regclass, 'pg_constraint'::regclass, 'pg_statistic_ext'::regclass)
         and not (d.classid = 'pg_attrdef'::regclass and exists (select from pg_attrdef f
           where f.oid = d.objid and f.adrelid = own.attrelid and f.adnum = own.attnum))) of) as dependents
  from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
  join pg_type t on t.oid = a.atttypid
  where a.attnum > 0 and not a.attisdropped and c.relkind in ('r', 'p') and not c.relispartition
    and c.relpersistence <> 't' and n.nspname not in ('pg_catalog', 'information_schema')
    and n.nspname !~ '^pg_(toast|temp)'
  order by a.attrelid, a.attnum`;

/** Those of partitions come with their root's. */
const foreignKeysQuery = `
  select n.nspname as schema, c.relname as "table", k.conname as name, pg_get_constraintdef(k.oid) as definition,
    k.confdeltype in ('n', 'd') as "setsNull",
    (select json_agg(a.attname order by u.n) from unnest(k.conkey) with ordinality u(attnum, n)
     join pg_attribute a on a.attrelid = k.conrelid and a.attnum = u.attnum) as columns,
    json_build_object('schema', fn.nspname, 'table', f.relname, 'columns',
      (select json_agg(a.attname order by u.n) from unnest(k.confkey) with ordinality u(attnum, n)
       join pg_attribute a on a.attrelid = k.confrelid and a.attnum = u.attnum)) as target
  from pg_constraint k join pg_class c on c.oid = k.conrelid join pg_namespace n on n.oid = c.relnamespace
  join pg_class f on f.oid = k.confrelid join pg_namespace fn on fn.oid = f.relnamespace
  where k.contype = 'f' and k.conparentid = 0 order by k.oid`;

const materializedViewsQuery = `
  select n.nspname as schema, c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where c.relkind = 'm' and c.relispopulated order by c.oid`;

interface Known {
  readonly types: ReadonlyMap<string, TypeRow>;
  readonly attributes: Attributes;
}

function describeColumn(known: Known, row: ColumnRow, uniques: readonly (readonly string[])[]): Column {
  return {
    name: row.name,
    ...describeType(known, row, row.in_unique),
    collation: row.collation,
    notNull: row.not_null,
    generated: row.generated,
    inPrimaryKey: row.in_primary_key,
    unique: row.in_unique,
    uniqueAlone: uniques.some((columns) => columns.length === 1 && columns[0] === row.name),
    inPartitionKey: row.in_partition_key,
    dependents: row.dependents,
  };
}

type Described = Pick<Column, 'type' | 'typeClass' | 'baseType' | 'isArray' | 'maxLength' | 'row'>;

function describeType(
  known: Known,
  of: { type: string; type_oid: string; typmod: number },
  unique: boolean,
): Described {
  const inner = innermost(known.types, of.type_oid, of.typmod);
  const typeClass = inner.type === undefined ? 'other' : classOf(inner.type);
  const parts = typeClass === 'composite' ? (known.attributes.get(inner.type?.oid ?? '') ?? []) : [];
  return {
    type: of.type,
    typeClass,
    baseType: inner.type?.name ?? of.type,
    isArray: inner.isArray,
    maxLength:
      inner.type !== undefined && inner.typmod > 4 && isBounded(inner.type.name) ? inner.typmod - 4 : null,
    ...(inner.type === undefined || parts.length === 0
      ? {}
      : {
          row: {
            type: inner.type.sql,
            attributes: parts.map((part) => describeAttribute(known, part, unique)),
          },
        }),
  };
}

/** Types are never made of themselves, so this comes to an end. Where the whole must be unique, each of its texts is made so. */
function describeAttribute(known: Known, row: AttributeRow, unique: boolean): Column {
  return {
    name: row.name,
    ...describeType(known, row, unique),
    ...{ collation: null, notNull: false, generated: false, inPrimaryKey: false },
    ...{ unique, uniqueAlone: false, inPartitionKey: false, dependents: [] },
  };
}

function isBounded(type: string): boolean {
  return type === 'varchar' || type === 'bpchar';
}

/** Through domains over arrays over domains. */
function innermost(
  types: ReadonlyMap<string, TypeRow>,
  oid: string,
  typmod: number,
): { type: TypeRow | undefined; typmod: number; isArray: boolean } {
  let type = types.get(oid);
  let modifier = typmod;
  let isArray = false;
  for (let depth = 0; depth < 32 && type !== undefined; depth += 1) {
    if (type.kind === 'd') {
      if (modifier < 0) modifier = type.typmod;
      type = types.get(type.base);
    } else if (type.category === 'A' && type.element !== '0') {
      isArray = true;
      type = types.get(type.element);
    } else break;
  }
  return { type, typmod: modifier, isArray };
}

function classOf(type: TypeRow): TypeClass {
  if (type.name === 'uuid') return 'uuid';
  if (type.name === 'bytea') return 'bytes';
  if (type.name === 'json' || type.name === 'jsonb') return 'json';
  if (type.kind === 'e') return 'enum';
  if (type.kind === 'c') return 'composite';
  if (type.kind !== 'b') return 'other';
  if (type.name === 'hstore') return 'hstore';
  const classes: Readonly<Record<string, TypeClass>> = {
    S: 'text',
    N: 'number',
    B: 'boolean',
    D: 'time',
    T: 'time',
    I: 'network',
  };
  return classes[type.category] ?? 'other';
}
