import type { Catalogue, Column, ForeignKey, Table, TypeClass } from '../catalogue.ts';
import type { Session } from './session.ts';

export const systemSchemas = `('mysql', 'sys', 'information_schema', 'performance_schema')`;

/**
 * What each schema holds, as masking must know it: a schema is what a rule calls a database, and its tables are written
 * without another schema (`orders`, `stock/pots`).
 */
export async function readCatalogues(session: Session): Promise<Catalogue[]> {
  const schemas = await session.query<{ s: string }>(
    `select schema_name as s from information_schema.schemata where schema_name not in ${systemSchemas} order by 1`,
  );
  const tables = await session.query<{ s: string; t: string }>(
    `select table_schema as s, table_name as t from information_schema.tables
     where table_type in ('BASE TABLE', 'SYSTEM VERSIONED') and table_schema not in ${systemSchemas} order by 1, 2`,
  );
  const columns = await session.query<ColumnRow>(columnsQuery);
  const indexes = await session.query<IndexRow>(indexesQuery);
  const keys = await session.query<KeyRow>(foreignKeysQuery);
  return schemas.map(({ s: database }) => ({
    database,
    tables: tables
      .filter(({ s }) => s === database)
      .map(({ t: name }) => {
        const isHere = (row: { s: string; t: string }) => row.s === database && row.t === name;
        return describeTable(name, columns.filter(isHere), indexes.filter(isHere));
      }),
    foreignKeys: foreignKeys(keys.filter(({ s }) => s === database)),
    materializedViews: [],
    largeObjects: 0,
  }));
}

/** References that cross from one schema into another: rules, which are for one, cannot follow them. */
export async function crossReferences(session: Session): Promise<string[]> {
  const rows = await session.query<{ s: string; t: string; k: string }>(
    `select constraint_schema as s, table_name as t, constraint_name as k from information_schema.referential_constraints
     where unique_constraint_schema <> constraint_schema order by 1, 2, 3`,
  );
  return rows.map(({ s, t, k }) => `${s}/${t}.${k}`);
}

interface ColumnRow {
  readonly s: string;
  readonly t: string;
  readonly name: string;
  readonly type: string;
  readonly base: string;
  readonly length: string | null;
  readonly collation: string | null;
  readonly nullable: string;
  readonly generated: string;
  readonly is_json: number;
}

/** JSON is text with a check of its own. */
const columnsQuery = `
  select c.table_schema as s, c.table_name as t, c.column_name as name, c.column_type as type, c.data_type as base,
    c.character_maximum_length as length, c.collation_name as collation, c.is_nullable as nullable,
    c.is_generated as \`generated\`,
    exists (select 1 from information_schema.check_constraints k where k.constraint_schema = c.table_schema
      and k.table_name = c.table_name and k.check_clause = concat('json_valid(\`', c.column_name, '\`)')) as is_json
  from information_schema.columns c join information_schema.tables t
    on t.table_schema = c.table_schema and t.table_name = c.table_name
  where t.table_type in ('BASE TABLE', 'SYSTEM VERSIONED') and c.table_schema not in ${systemSchemas}
  order by c.table_schema, c.table_name, c.ordinal_position`;

interface IndexRow {
  readonly s: string;
  readonly t: string;
  readonly name: string;
  readonly column: string;
  readonly part: string | null;
}

const indexesQuery = `
  select table_schema as s, table_name as t, index_name as name, column_name as \`column\`, sub_part as part
  from information_schema.statistics where non_unique = 0 and table_schema not in ${systemSchemas}
  order by table_schema, table_name, index_name <> 'PRIMARY', index_name, seq_in_index`;

interface KeyRow {
  readonly s: string;
  readonly t: string;
  readonly name: string;
  readonly column: string;
  readonly target: string;
  readonly target_column: string;
  readonly on_delete: string;
}

const foreignKeysQuery = `
  select u.table_schema as s, u.table_name as t, u.constraint_name as name, u.column_name as \`column\`,
    u.referenced_table_name as target, u.referenced_column_name as target_column, r.delete_rule as on_delete
  from information_schema.key_column_usage u join information_schema.referential_constraints r
    on r.constraint_schema = u.constraint_schema and r.table_name = u.table_name and r.constraint_name = u.constraint_name
  where u.referenced_table_schema = u.table_schema and u.table_schema not in ${systemSchemas}
  order by u.table_schema, u.table_name, u.constraint_name, u.ordinal_position`;

function describeTable(name: string, columns: readonly ColumnRow[], indexes: readonly IndexRow[]): Table {
  const byIndex = groupBy(indexes, (row) => row.name);
  // Of a prefix alone nothing is known about the whole value.
  const uniques = [...byIndex.values()]
    .filter((rows) => rows.every(({ part }) => part === null))
    .map((rows) => rows.map(({ column }) => column));
  const primary = new Set((byIndex.get('PRIMARY') ?? []).map(({ column }) => column));
  return {
    schema: 'public',
    name,
    kind: 'table',
    leaves: [{ schema: 'public', name }],
    uniques,
    columns: columns.map((row): Column => {
      const { typeClass, baseType } = classOf(row);
      return {
        name: row.name,
        type: row.type,
        typeClass,
        baseType,
        isArray: false,
        maxLength: typeClass === 'text' ? maxLength(row) : null,
        collation: row.collation,
        notNull: row.nullable === 'NO',
        generated: row.generated === 'ALWAYS',
        inPrimaryKey: primary.has(row.name),
        unique: indexes.some(({ column }) => column === row.name),
        uniqueAlone: uniques.some((names) => names.length === 1 && names[0] === row.name),
        inPartitionKey: false,
        // Everything is written into a new table: nothing stands in the way of a type.
        dependents: [],
      };
    }),
  };
}

/** Characters; of the `text` types the bound is in bytes, of which a character may take four. */
function maxLength({ base, length }: ColumnRow): number | null {
  if (length === null || base === 'longtext' || base === 'mediumtext') return null;
  return base.endsWith('text') ? Math.floor(Number(length) / 4) : Number(length);
}

/** In the words that rules are checked with; a type that is not among them can be kept or emptied, not masked. */
function classOf({ base, type, is_json }: ColumnRow): { typeClass: TypeClass; baseType: string } {
  if (is_json === 1) return { typeClass: 'json', baseType: 'json' };
  if (/^(?:tinyint|bit)\(1\)/.test(type)) return { typeClass: 'boolean', baseType: 'boolean' };
  const known = classes[base];
  if (known === undefined) return { typeClass: 'other', baseType: base };
  const [typeClass, baseType = base] = known;
  return { typeClass, baseType };
}

const classes: Readonly<Record<string, readonly [TypeClass, string?]>> = {
  char: ['text', 'bpchar'],
  varchar: ['text'],
  tinytext: ['text'],
  text: ['text'],
  mediumtext: ['text'],
  longtext: ['text'],
  tinyint: ['number', 'int1'],
  smallint: ['number', 'int2'],
  mediumint: ['number', 'int4'],
  int: ['number', 'int4'],
  bigint: ['number', 'int8'],
  decimal: ['number', 'numeric'],
  float: ['number'],
  double: ['number'],
  year: ['number'],
  date: ['time'],
  datetime: ['time', 'timestamp'],
  timestamp: ['time', 'timestamptz'],
  time: ['time'],
  enum: ['enum'],
  set: ['enum'],
  uuid: ['uuid'],
  inet4: ['network'],
  inet6: ['network'],
  binary: ['bytes'],
  varbinary: ['bytes'],
  tinyblob: ['bytes'],
  blob: ['bytes'],
  mediumblob: ['bytes'],
  longblob: ['bytes'],
};

function foreignKeys(rows: readonly KeyRow[]): ForeignKey[] {
  return [...groupBy(rows, ({ t, name }) => `${t}\u0000${name}`).values()].flatMap((parts) => {
    const [first] = parts;
    if (first === undefined) return [];
    return {
      schema: 'public',
      table: first.t,
      name: first.name,
      columns: parts.map(({ column }) => column),
      target: {
        schema: 'public',
        table: first.target,
        columns: parts.map(({ target_column }) => target_column),
      },
      definition: '',
      setsNull: first.on_delete === 'SET NULL',
    };
  });
}

function groupBy<Row>(rows: readonly Row[], keyOf: (row: Row) => string): Map<string, Row[]> {
  const groups = new Map<string, Row[]>();
  for (const row of rows) groups.set(keyOf(row), [...(groups.get(keyOf(row)) ?? []), row]);
  return groups;
}
