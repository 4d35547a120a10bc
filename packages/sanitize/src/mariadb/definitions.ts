import { systemSchemas } from './catalogue.ts';
import { id } from './quote.ts';
import type { Session } from './session.ts';

/** Everything of a server that is not rows: read from the raw copy, made anew on the empty one. */
export interface Definitions {
  readonly schemas: readonly string[];
  /** Before the rows. */
  readonly tables: readonly Definition[];
  /** After the rows, so that none of them fires or is counted. */
  readonly programs: readonly Definition[];
  /** They may read each other, so their order is found by trying. */
  readonly views: readonly Definition[];
  /** Where sequences go on. */
  readonly sequences: readonly { readonly schema: string; readonly name: string; readonly next: string }[];
}

export interface Definition {
  readonly schema: string;
  readonly name: string;
  readonly sql: string;
  /** Settings that it was written under. */
  readonly settings: readonly string[];
}

export async function readDefinitions(session: Session): Promise<Definitions> {
  const relations = await session.query<{ s: string; t: string; kind: string }>(
    `select table_schema as s, table_name as t, table_type as kind from information_schema.tables
     where table_schema not in ${systemSchemas} order by table_type <> 'SEQUENCE', table_schema, table_name`,
  );
  const schemas = await session.query<{ s: string }>(
    `select schema_name as s from information_schema.schemata where schema_name not in ${systemSchemas} order by 1`,
  );
  const tables: Definition[] = [];
  const views: Definition[] = [];
  const sequences: { schema: string; name: string; next: string }[] = [];
  for (const { s: schema, t: name, kind } of relations) {
    const word = kind === 'VIEW' ? 'view' : kind === 'SEQUENCE' ? 'sequence' : 'table';
    const definition = await show(session, word, schema, name);
    (word === 'view' ? views : tables).push(definition);
    if (word !== 'sequence') continue;
    const [row] = await session.query<{ next: string }>(
      `select next_not_cached_value as next from ${id(schema)}.${id(name)}`,
    );
    sequences.push({ schema, name, next: row?.next ?? '1' });
  }
  return {
    schemas: schemas.map(({ s }) => s),
    tables,
    views,
    sequences,
    programs: await readPrograms(session),
  };
}

/** Functions first: triggers and events may call them. */
async function readPrograms(session: Session): Promise<Definition[]> {
  const programs = await session.query<{ s: string; name: string; kind: string }>(
    `select routine_schema as s, routine_name as name, lower(routine_type) as kind from information_schema.routines
       where routine_schema not in ${systemSchemas}
     union all select trigger_schema, trigger_name, 'trigger' from information_schema.triggers
       where trigger_schema not in ${systemSchemas}
     union all select event_schema, event_name, 'event' from information_schema.events
       where event_schema not in ${systemSchemas}
     order by kind = 'event', kind = 'trigger', kind = 'package body', s, name`,
  );
  const definitions: Definition[] = [];
  for (const { s: schema, name, kind } of programs) definitions.push(await show(session, kind, schema, name));
  return definitions;
}

async function show(session: Session, kind: string, schema: string, name: string): Promise<Definition> {
  const [row = {}] = await session.query<Record<string, string | null>>(
    `show create ${kind} ${id(schema)}.${id(name)}`,
  );
  const sql = Object.entries(row).find(([key]) => /^(?:Create |SQL Original)/.test(key))?.[1];
  if (typeof sql !== 'string') throw new Error(`no definition of ${kind} ${schema}.${name}`);
  const mode = row.sql_mode;
  const settings = [
    ...(typeof mode === 'string' ? [`sql_mode = '${mode}'`] : []),
    ...['character_set_client', 'collation_connection', 'time_zone'].flatMap((key) =>
      typeof row[key] === 'string' ? [`${key} = '${row[key]}'`] : [],
    ),
  ];
  return { schema, name, sql, settings };
}

/** On a server that is empty but for the schemas of its manifest. */
export async function makeTables(session: Session, definitions: Definitions): Promise<void> {
  for (const schema of definitions.schemas)
    await session.execute(`create database if not exists ${id(schema)}`);
  for (const { schema, name, sql } of definitions.tables) {
    await session.execute(`use ${id(schema)}`);
    await session.execute(sql).catch((error: unknown) => {
      throw new Error(`${schema}/${name} could not be made again`, { cause: error });
    });
  }
  for (const { schema, name, next } of definitions.sequences)
    await session.query(`select setval(${id(schema)}.${id(name)}, ${BigInt(next)}, 0)`);
}

/** Views that read what is no longer there are invalid in production too; their names are returned. */
export async function makePrograms(session: Session, definitions: Definitions): Promise<string[]> {
  for (const definition of definitions.programs) await make(session, definition);
  let left = [...definitions.views];
  for (let round = 0; round < definitions.views.length && left.length > 0; round += 1) {
    const failed: Definition[] = [];
    for (const view of left) {
      await make(session, view).catch((error: unknown) => {
        if (!isMissing(error)) throw error;
        failed.push(view);
      });
    }
    if (failed.length === left.length) break;
    left = failed;
  }
  return left.map(({ schema, name }) => `${schema}/${name}`);
}

async function make(session: Session, { schema, sql, settings }: Definition): Promise<void> {
  await session.execute(`use ${id(schema)}`);
  await session.execute(`set @bough_mode = @@sql_mode, @bough_zone = @@time_zone`);
  if (settings.length > 0) await session.execute(`set session ${settings.join(', ')}`);
  try {
    await session.execute(sql);
  } finally {
    await session.execute(`set session sql_mode = @bough_mode, time_zone = @bough_zone`);
    await session.execute('set names utf8mb4');
  }
}

/** No such table, column, function or view. */
function isMissing(error: unknown): boolean {
  const { errno } = (error ?? {}) as { errno?: unknown };
  return typeof errno === 'number' && [1146, 1054, 1305, 1356, 1449].includes(errno);
}
