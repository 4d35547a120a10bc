import type { ProbeSql, UserTable } from '../tables.ts';
import { id, literal, type Session } from './session.ts';

const schemasMax = 20;
const tablesMax = 5_000;
const serversOwn = `('mysql', 'information_schema', 'performance_schema', 'sys')`;

/** The application's schemas, the one that it uses by default first. */
export async function listSchemas(session: Session, first: string): Promise<string[]> {
  const rows = await session.query<{ name: string }>(
    `select schema_name as name from information_schema.schemata where schema_name not in ${serversOwn}
     order by schema_name <> ${literal(first)}, schema_name limit ${schemasMax}`,
  );
  return rows.map(({ name }) => name);
}

/** Largest first. Rows are the server's own estimate. `oid` is a number of ours: MariaDB has none. */
export async function listTables(session: Session, schemas: readonly string[]): Promise<UserTable[]> {
  if (schemas.length === 0) return [];
  const rows = await session.query<{ database: string; name: string; rows: string; bytes: string }>(
    `select table_schema as \`database\`, table_name as name, cast(coalesce(table_rows, 0) as char) as \`rows\`,
       cast(coalesce(data_length, 0) + coalesce(index_length, 0) as char) as bytes
     from information_schema.tables
     where table_type = 'BASE TABLE' and table_schema in (${schemas.map(literal).join(', ')})
     order by coalesce(data_length, 0) + coalesce(index_length, 0) desc, table_schema, table_name limit ${tablesMax}`,
  );
  return rows.map((row, index) => ({
    ...{ oid: index + 1, database: row.database, schema: row.database, name: row.name },
    display: row.database === schemas[0] ? row.name : `${row.database}/${row.name}`,
    ...{ rows: Number(row.rows), bytes: Number(row.bytes) },
  }));
}

/** The files of a table. `spaces`: InnoDB gives it new ones when it writes every row anew. */
export interface TableFiles {
  readonly bytes: number;
  readonly spaces: string;
}

/** Of InnoDB's tables, by `schema/name`; of other engines nothing is known. */
export async function readFiles(session: Session): Promise<ReadonlyMap<string, TableFiles>> {
  const rows = await session.query<{ name: string; space: number; bytes: string }>(
    `select name, space, cast(file_size as char) as bytes from information_schema.innodb_sys_tablespaces
     where name like '%/%' order by space`,
  );
  const files = new Map<string, TableFiles>();
  for (const { name, space, bytes } of rows) {
    const table = tableOfFile(name);
    const before = files.get(table) ?? { bytes: 0, spaces: '' };
    files.set(table, { bytes: before.bytes + Number(bytes), spaces: `${before.spaces} ${space}` });
  }
  return files;
}

/** `shop/order@002dlines#P#p0` → `shop/order-lines`: as InnoDB writes names of files (MariaDB, "Identifier to File Name Mapping"). */
function tableOfFile(name: string): string {
  return name
    .replace(/#P#.*$/is, '')
    .replace(/@([0-9a-f]{4})/g, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)));
}

const binaryTypes = new Set(['binary', 'varbinary', 'tinyblob', 'blob', 'mediumblob', 'longblob', 'bit']);

/**
 * One row by its key, and the same row written as it is: the first one, which a change of all rows holds longest. Undefined when the table is not there under its name any more.
 */
export async function probeSqlOf(session: Session, table: UserTable): Promise<ProbeSql | undefined> {
  const at = `table_schema = ${literal(table.database)} and table_name = ${literal(table.name)}`;
  const columns = await session.query<{ name: string; type: string; isGenerated: number; place: number }>(
    `select c.column_name as name, c.data_type as type, c.extra like '%GENERATED%' as isGenerated,
       cast(coalesce((select s.seq_in_index from information_schema.statistics s
         where s.table_schema = c.table_schema and s.table_name = c.table_name and s.index_name = 'PRIMARY'
           and s.column_name = c.column_name), 0) as int) as place
     from information_schema.columns c where c.${at.replace(' and ', ' and c.')} order by c.ordinal_position`,
  );
  if (columns.length === 0) return undefined;
  const key = columns.filter(({ place }) => place > 0).sort((a, b) => a.place - b.place);
  const where = await rowOf(session, table, key);
  const name = `${id(table.database)}.${id(table.name)}`;
  const writable = columns.filter(({ isGenerated }) => isGenerated === 0);
  const column = writable.find(({ place }) => place === 0) ?? writable[0];
  return {
    read: `select 1 from ${name} ${where} limit 1`,
    write:
      column === undefined
        ? `delete from ${name} where 1 = 0`
        : `update ${name} set ${id(column.name)} = ${id(column.name)} ${where} limit 1`,
  };
}

async function rowOf(
  session: Session,
  table: UserTable,
  key: readonly { name: string; type: string }[],
): Promise<string> {
  // Empty, or without a key: whether a row is there does not matter to the lock on the table.
  if (key.length === 0) return '';
  const values = key.map(({ name }, at) => `hex(${id(name)}) as h${at}, cast(${id(name)} as char) as t${at}`);
  const order = key.map(({ name }) => id(name));
  const [row] = await session.query<Record<string, string | null>>(
    `select ${values.join(', ')} from ${id(table.database)}.${id(table.name)} order by ${order.join(', ')} limit 1`,
  );
  if (row === undefined) return '';
  const terms = key.map(({ name, type }, at) => {
    const isBinary = binaryTypes.has(type.toLowerCase());
    return `${id(name)} = ${isBinary ? `0x${row[`h${at}`] ?? '00'}` : literal(row[`t${at}`] ?? '')}`;
  });
  return `where ${terms.join(' and ')}`;
}
