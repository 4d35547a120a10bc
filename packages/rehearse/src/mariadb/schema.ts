import type { Schema } from '../schema.ts';
import { literal, type Session } from './session.ts';

const objectsMax = 50_000;

/** Bodies of views and routines stand as digests: that they changed is what matters, and they may be long. */
export async function readSchema(session: Session, schemas: readonly string[]): Promise<Schema> {
  if (schemas.length === 0) return { definitions: new Map(), invalidIndexes: new Set() };
  const definitions = new Map<string, string>();
  for (const sql of queries(`(${schemas.map(literal).join(', ')})`)) {
    const rows = await session.query<{
      schema: string;
      kind: string;
      name: string;
      definition: string | null;
    }>(`${sql} limit ${objectsMax}`);
    for (const { schema, kind, name, definition } of rows)
      definitions.set(`${schema === schemas[0] ? '' : `${schema}/`}${kind} ${name}`, definition ?? '');
  }
  return { definitions, invalidIndexes: new Set() };
}

function queries(schemas: string): string[] {
  return [
    `select table_schema as \`schema\`, lower(if(table_type = 'BASE TABLE', 'table', table_type)) as kind, table_name as name,
       concat_ws(' ', engine, table_collation) as definition
     from information_schema.tables where table_type <> 'VIEW' and table_schema in ${schemas}`,
    `select table_schema as \`schema\`, 'column' as kind, concat(table_name, '.', column_name) as name,
       concat_ws(' ', column_type, collation_name, if(is_nullable = 'NO', 'not null', null), concat('default ', column_default),
         nullif(extra, ''), generation_expression) as definition
     from information_schema.columns where table_schema in ${schemas}`,
    `select table_schema as \`schema\`, 'index' as kind, concat(table_name, '.', index_name) as name,
       concat(if(non_unique, '', 'unique '), lower(max(index_type)), ' (', group_concat(column_name,
         if(sub_part is null, '', concat('(', sub_part, ')')) order by seq_in_index separator ', '), ')') as definition
     from information_schema.statistics where table_schema in ${schemas}
     group by table_schema, table_name, index_name, non_unique`,
    `select k.constraint_schema as \`schema\`, 'foreign key' as kind, concat(k.table_name, '.', k.constraint_name) as name,
       concat('(', group_concat(k.column_name order by k.ordinal_position separator ', '), ') references ',
         max(k.referenced_table_name), ' (', group_concat(k.referenced_column_name order by k.ordinal_position separator ', '), ')') as definition
     from information_schema.key_column_usage k where k.referenced_table_name is not null and k.constraint_schema in ${schemas}
     group by k.constraint_schema, k.table_name, k.constraint_name`,
    `select constraint_schema as \`schema\`, 'check' as kind, concat(table_name, '.', constraint_name) as name, check_clause as definition
     from information_schema.check_constraints where constraint_schema in ${schemas}`,
    `select table_schema as \`schema\`, 'view' as kind, table_name as name, concat('definition ', left(md5(view_definition), 12)) as definition
     from information_schema.views where table_schema in ${schemas}`,
    `select routine_schema as \`schema\`, lower(routine_type) as kind, routine_name as name,
       concat('definition ', left(md5(concat_ws(' ', routine_definition, dtd_identifier, sql_mode)), 12)) as definition
     from information_schema.routines where routine_schema in ${schemas}`,
    `select trigger_schema as \`schema\`, 'trigger' as kind, concat(event_object_table, '.', trigger_name) as name,
       concat_ws(' ', action_timing, event_manipulation, 'definition', left(md5(action_statement), 12)) as definition
     from information_schema.triggers where trigger_schema in ${schemas}`,
    `select event_schema as \`schema\`, 'event' as kind, event_name as name,
       concat('definition ', left(md5(event_definition), 12)) as definition
     from information_schema.events where event_schema in ${schemas}`,
  ];
}
