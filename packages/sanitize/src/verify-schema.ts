import type { Detector } from '@bough/manifest/sanitize-policy';
import type { Client } from 'pg';
import type { MaskingPlan } from './decide.ts';
import { conditions } from './detectors.ts';
import type { Finding } from './finding.ts';

const ownObjects = 16_384;

/**
 * What people write into a schema is no row, and may hold what rows hold: an address in a comment, a customer in the label
 * of an enum or in a default. Samples are looked for in all of it; shapes only where nothing but words can stand, because an
 * address in a default is often the operator's own.
 */
export async function verifySchema(
  client: Client,
  of: { plan: MaskingPlan; samples: readonly string[] },
): Promise<Finding[]> {
  const { rows } = await client.query<{
    kind: string;
    place: string;
    type: string | null;
    sampled: boolean;
    shaped: boolean;
  }>(
    `select kind, place, type, sampled, shaped from (
       select kind, place, type, exists (select from unnest($1::text[]) n where position(n in v) > 0) as sampled,
         kind in ('comment', 'label') and (${shapes('v')}) as shaped
       from (${textsQuery}) t where v is not null offset 0) found
     where sampled or shaped order by kind, place limit 50`,
    [of.samples],
  );
  return rows
    .filter(({ kind }) => kind !== 'comment' || !of.plan.dropsComments)
    .filter(({ sampled, type }) => sampled || type === null || !isAllowed(of.plan, type))
    .map(({ kind, place, sampled }) => ({
      code: 'raw-value',
      where: `${kind} ${place}`,
      message: sampled
        ? 'It holds a value of a masked column.'
        : 'It holds what looks like an e-mail address, a phone number, a key, a card or an account.',
      paste: kind === 'comment' ? 'comments: drop' : null,
    }));
}

const shapes = (v: string): string =>
  Object.values(conditions)
    .map((condition) => `(${condition(v)})`)
    .join(' or ');

/** By its columns: they are the only place where a policy speaks of an enum. */
function isAllowed(plan: MaskingPlan, type: string): boolean {
  const allow = plan.tables
    .flatMap(({ columns }) => columns)
    .filter(({ column }) => column.type === type)
    .flatMap(({ rule }): readonly Detector[] => (rule.rule === 'keep' ? rule.allow : []));
  return allow.length > 0;
}

const textsQuery = `
  select 'comment' as kind, pg_describe_object(classoid, objoid, objsubid) as place, null as type, description as v
    from pg_description where objoid >= ${ownObjects} and not exists (select from pg_depend d
      where d.classid = classoid and d.objid = objoid and d.deptype = 'e')
  union all select 'label', format_type(enumtypid, null), format_type(enumtypid, null), enumlabel from pg_enum
  union all select 'default', d.adrelid::regclass || '.' || a.attname, null, pg_get_expr(d.adbin, d.adrelid)
    from pg_attrdef d join pg_attribute a on a.attrelid = d.adrelid and a.attnum = d.adnum
  union all select 'constraint', conname, null, pg_get_constraintdef(oid) from pg_constraint where oid >= ${ownObjects}
  union all select 'view', oid::regclass::text, null, pg_get_viewdef(oid) from pg_class where relkind in ('v', 'm') and oid >= ${ownObjects}
  union all select 'function', oid::regproc::text, null, prosrc from pg_proc where oid >= ${ownObjects}
  union all select 'index', indexrelid::regclass::text, null, pg_get_indexdef(indexrelid) from pg_index where indexrelid >= ${ownObjects}
  union all select 'row policy', polname, null, concat(pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid)) from pg_policy
  union all select 'partition', oid::regclass::text, null, pg_get_expr(relpartbound, oid) from pg_class where relpartbound is not null`;
