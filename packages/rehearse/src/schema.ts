import type { Measurement } from '@bough/domain/rehearsal';
import { type ObservedServer, withSession } from './session.ts';
import { presentable } from './statement-text.ts';

/** What of a database makes up its schema: `column orders.state` → `text not null`. */
export interface Schema {
  readonly definitions: ReadonlyMap<string, string>;
  readonly invalidIndexes: ReadonlySet<string>;
}

const shownMax = 60;
const objectsMax = 50_000;

export async function readSchema(
  server: ObservedServer,
  database: string,
  isFirst: boolean,
): Promise<Schema> {
  return withSession(server, database, async (client) => {
    const { rows } = await client.query<{ what: string; definition: string; invalid: boolean }>(schemaSql);
    const prefix = isFirst ? '' : `${database}/`;
    return {
      definitions: new Map(rows.map(({ what, definition }) => [`${prefix}${what}`, definition])),
      invalidIndexes: new Set(rows.filter(({ invalid }) => invalid).map(({ what }) => `${prefix}${what}`)),
    };
  });
}

export function compareSchemas(before: Schema, after: Schema): Measurement['schema'] {
  const added = [...after.definitions].filter(([what]) => !before.definitions.has(what));
  const removed = [...before.definitions.keys()].filter((what) => !after.definitions.has(what));
  const changed = [...after.definitions].flatMap(([what, definition]) => {
    const earlier = before.definitions.get(what);
    return earlier === undefined || earlier === definition
      ? []
      : [{ what, before: presentable(earlier), after: presentable(definition) }];
  });
  const shown = {
    added: added.slice(0, shownMax).map(([what, definition]) => `${what} ${presentable(definition)}`.trim()),
    removed: removed.slice(0, shownMax),
    changed: changed.slice(0, shownMax),
  };
  const listed = shown.added.length + shown.removed.length + shown.changed.length;
  return { ...shown, leftOut: added.length + removed.length + changed.length - listed };
}

export function mergeSchemas(schemas: readonly Schema[]): Schema {
  return {
    definitions: new Map(schemas.flatMap(({ definitions }) => [...definitions])),
    invalidIndexes: new Set(schemas.flatMap(({ invalidIndexes }) => [...invalidIndexes])),
  };
}

const ours = `n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'bough_rehearsal')`;
const name = (alias: string) => `case n.nspname when 'public' then '' else n.nspname || '.' end || ${alias}`;

/** Bodies of views and functions stand as digests: that they changed is what matters, and they may be long. */
const schemaSql = `
select 'table ' || ${name('c.relname')} as what,
  concat_ws(' ', case c.relkind when 'p' then 'partitioned' when 'f' then 'foreign' end,
    case when c.relrowsecurity then 'row level security' end, case c.relpersistence when 'u' then 'unlogged' end) as definition,
  false as invalid
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'f') and c.relpersistence <> 't' and ${ours}
union all
select 'column ' || ${name('c.relname')} || '.' || a.attname,
  concat_ws(' ', format_type(a.atttypid, a.atttypmod), case when a.attnotnull then 'not null' end,
    case a.attidentity when '' then null else 'identity' end,
    case when d.oid is null then null when a.attgenerated <> '' then 'generated ' || pg_get_expr(d.adbin, d.adrelid)
      else 'default ' || pg_get_expr(d.adbin, d.adrelid) end), false
from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
  left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
where c.relkind in ('r', 'p', 'f') and c.relpersistence <> 't' and a.attnum > 0 and not a.attisdropped and ${ours}
union all
select 'constraint ' || ${name('c.relname')} || '.' || k.conname, pg_get_constraintdef(k.oid), false
from pg_constraint k join pg_class c on c.oid = k.conrelid join pg_namespace n on n.oid = c.relnamespace
where c.relpersistence <> 't' and k.contype <> 'n' and ${ours}
union all
select 'index ' || ${name('i.relname')},
  regexp_replace(pg_get_indexdef(i.oid), '^CREATE (UNIQUE )?INDEX \\S+ ', '\\1') || case when x.indisvalid then '' else ' (invalid)' end,
  not x.indisvalid
from pg_index x join pg_class i on i.oid = x.indexrelid join pg_class c on c.oid = x.indrelid
  join pg_namespace n on n.oid = i.relnamespace
where c.relpersistence <> 't' and ${ours}
union all
select case c.relkind when 'v' then 'view ' else 'materialized view ' end || ${name('c.relname')},
  'definition ' || left(md5(pg_get_viewdef(c.oid)), 12), false
from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relkind in ('v', 'm') and ${ours}
union all
select 'sequence ' || ${name('c.relname')}, format_type(s.seqtypid, null), false
from pg_sequence s join pg_class c on c.oid = s.seqrelid join pg_namespace n on n.oid = c.relnamespace
where c.relpersistence <> 't' and ${ours}
union all
select 'function ' || ${name('p.proname')} || '(' || pg_get_function_identity_arguments(p.oid) || ')',
  'definition ' || left(md5(coalesce(p.prosrc, '') || coalesce(p.proconfig::text, '') || p.provolatile::text || p.prosecdef::text), 12), false
from pg_proc p join pg_namespace n on n.oid = p.pronamespace
where ${ours} and not exists (select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')
union all
select 'type ' || ${name('t.typname')},
  case t.typtype when 'e' then (select string_agg(e.enumlabel, ', ' order by e.enumsortorder) from pg_enum e where e.enumtypid = t.oid)
    else format_type(t.typbasetype, t.typtypmod) end, false
from pg_type t join pg_namespace n on n.oid = t.typnamespace where t.typtype in ('e', 'd') and ${ours}
union all
select 'trigger ' || ${name('c.relname')} || '.' || t.tgname, regexp_replace(pg_get_triggerdef(t.oid), '^CREATE (CONSTRAINT )?TRIGGER \\S+ ', ''), false
from pg_trigger t join pg_class c on c.oid = t.tgrelid join pg_namespace n on n.oid = c.relnamespace
where not t.tgisinternal and ${ours}
union all
select 'policy ' || ${name('c.relname')} || '.' || p.polname,
  concat_ws(' ', p.polcmd::text, pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)), false
from pg_policy p join pg_class c on c.oid = p.polrelid join pg_namespace n on n.oid = c.relnamespace where ${ours}
union all
select 'extension ' || e.extname, e.extversion, false from pg_extension e
union all
select 'schema ' || n.nspname, '', false from pg_namespace n where ${ours}
limit ${objectsMax}`;
