import { createHash } from 'node:crypto';
import type { TextRule } from '@bough/manifest/sanitize-policy';
import type { Column, ForeignKey } from './catalogue.ts';
import type { ColumnPlan, MaskingPlan, TablePlan } from './decide.ts';
import { textExpression } from './mask-functions.ts';
import { id, literal, qualified } from './quote.ts';

/** Statements of one stage, each run by itself. `where` names what it works on, for progress and errors. */
export interface Statement {
  readonly where: string;
  readonly sql: string;
}

/** Before anything else: what permutations must know of the largest number in use. */
export function prepareStatements(plan: MaskingPlan): Statement[] {
  return [...permutedDomains(plan)].map(([domain, uses]) => ({
    where: domain,
    // The next power of two; sequences go on from there.
    sql: `select set_config(${literal(sizeSetting(domain))}, power(2, ceil(log(2, greatest(max(v), 15)::numeric + 1)))::bigint::text, false)
      from (${uses.map(({ table, column }) => `select max(${id(column)})::bigint as v from ${table}`).join(' union all ')}) m`,
  }));
}

/** What `prepareStatements` leaves in its session, for others to have too. */
export function preparedSettings(plan: MaskingPlan): string[] {
  return [...permutedDomains(plan).keys()].map(sizeSetting);
}

/** References are checked anew at the end, which is part of the proof. */
export function dropReferences(plan: MaskingPlan): Statement[] {
  return plan.foreignKeys.map((key) => ({
    where: `${key.table}.${key.name}`,
    sql: `alter table ${owner(key)} drop constraint ${id(key.name)}`,
  }));
}

export function restoreReferences(plan: MaskingPlan): Statement[] {
  return plan.foreignKeys.map((key) => ({
    where: `${key.table}.${key.name}`,
    sql: `alter table ${owner(key)} add constraint ${id(key.name)} ${key.definition}`,
  }));
}

export function removeRows(plan: MaskingPlan): Statement[] {
  return plan.tables.flatMap(({ table, display, truncate, where }) => {
    const only = table.kind === 'inherited' ? 'only ' : '';
    if (truncate) return [{ where: display, sql: `truncate ${only}${qualified(table)}` }];
    if (where === null) return [];
    return [{ where: display, sql: `delete from ${only}${qualified(table)} where (${where}) is not true` }];
  });
}

/** Rows whose reference went away go too, or lose the reference if that is what the schema says. Run until nothing changes. */
export function removeOrphans(plan: MaskingPlan): Statement[] {
  const isCut = (name: string) =>
    plan.tables.some(
      ({ table, truncate, where }) => qualified(table) === name && (truncate || where !== null),
    );
  if (!plan.tables.some(({ truncate, where }) => truncate || where !== null)) return [];
  return plan.foreignKeys
    .filter((key) => reaches(plan, key, isCut))
    .map((key) => {
      const target = qualified({ schema: key.target.schema, name: key.target.table });
      const equal = key.columns.map(
        (name, index) => `p.${id(key.target.columns[index] ?? name)} = c.${id(name)}`,
      );
      const orphan = `${key.columns.map((name) => `c.${id(name)} is not null`).join(' and ')}
        and not exists (select from ${target} p where ${equal.join(' and ')})`;
      const sql = key.setsNull
        ? `update ${owner(key)} c set ${key.columns.map((name) => `${id(name)} = null`).join(', ')} where ${orphan}`
        : `delete from ${owner(key)} c where ${orphan}`;
      return { where: `${key.table}.${key.name}`, sql };
    });
}

/** Whether rows that went away can be missed by this reference, directly or through others. */
function reaches(plan: MaskingPlan, key: ForeignKey, isCut: (name: string) => boolean): boolean {
  const seen = new Set<string>();
  const queue = [qualified({ schema: key.target.schema, name: key.target.table })];
  for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
    if (seen.has(next)) continue;
    seen.add(next);
    if (isCut(next)) return true;
    for (const other of plan.foreignKeys)
      if (owner(other) === next)
        queue.push(qualified({ schema: other.target.schema, name: other.target.table }));
  }
  return false;
}

/** The masking itself: one rewrite of the table, or an update where something depends on its columns. */
export function maskTable(plan: TablePlan): Statement[] {
  const changed = plan.columns.filter(({ rule }) => rule.rule !== 'keep');
  if (plan.method === 'none' || plan.truncate || changed.length === 0) return [];
  const table = qualified(plan.table);
  if (plan.method === 'rewrite') {
    const actions = changed.map((column) => {
      const { name, type, collation } = column.column;
      const collate = collation === null ? '' : ` collate ${collation}`;
      return `alter ${id(name)} type ${type}${collate} using ${maskExpression(column)}`;
    });
    return [{ where: plan.display, sql: `alter table ${table} ${actions.join(', ')}` }];
  }
  const only = plan.table.kind === 'inherited' ? 'only ' : '';
  const sets = changed.map((column) => `${id(column.column.name)} = ${maskExpression(column)}`);
  return [{ where: plan.display, sql: `update ${only}${table} set ${sets.join(', ')}` }];
}

/** Rewrites what was not rewritten: updates, deletions and dropped columns leave their bytes. */
export function compactTables(plan: MaskingPlan): Statement[] {
  return plan.tables.flatMap(({ table, display, method, truncate }) =>
    method === 'rewrite' && !truncate
      ? []
      : table.leaves.map((leaf) => ({ where: display, sql: `vacuum full ${qualified(leaf)}` })),
  );
}

export function refreshViews(plan: MaskingPlan): Statement[] {
  return plan.materializedViews.map((view) => ({
    where: view.name,
    sql: `refresh materialized view ${qualified(view)}`,
  }));
}

export function moveSequences(plan: MaskingPlan): Statement[] {
  return [...permutedDomains(plan)].flatMap(([domain, uses]) =>
    uses.map(({ table, column }) => ({
      where: domain,
      sql: `select setval(s, current_setting(${literal(sizeSetting(domain))})::bigint)
        from pg_get_serial_sequence(${literal(table)}, ${literal(column)}) s where s is not null`,
    })),
  );
}

/** What the column becomes, as SQL over the row as it was, of the column's own type. */
export function maskExpression(plan: ColumnPlan): string {
  return maskedValue(plan, id(plan.column.name));
}

/** `raw` is SQL for the value as it is. */
function maskedValue({ column, rule, domain }: ColumnPlan, raw: string): string {
  const value = column.baseType === 'citext' && !column.isArray ? `lower(${raw}::text)` : `${raw}::text`;
  const cast = (text: string) => `(${text})::${column.type}`;
  switch (rule.rule) {
    case 'keep':
      return raw;
    case 'null':
      return cast('null');
    case 'constant':
      return cast(literal(rule.value));
    case 'sql':
      return cast(rule.expression);
    case 'date-shift':
      return cast(`${raw} + pg_temp.bough_shift(${literal(domain)}, ${value}, ${rule.days})`);
    case 'json':
      return cast(
        `pg_temp.bough_json('json', ${raw}::jsonb, ${literal(JSON.stringify(withParents(rule.paths)))}, ${rule.keepRest !== null}, '')`,
      );
    case 'hstore': {
      const how = `${literal(JSON.stringify(rule.keys))}, ${rule.keepRest !== null}`;
      return cast(
        column.isArray
          ? `pg_temp.bough_hstores(${raw}::jsonb[], ${how})`
          : `pg_temp.bough_hstore(${raw}::jsonb, ${how})`,
      );
    }
    case 'row':
      return cast(
        column.isArray ? `pg_temp.${rowsFunction(column, rule)}(${raw})` : maskedRow(column, rule, raw),
      );
    case 'permuted-id':
      return cast(
        `pg_temp.bough_permute(${literal(domain)}, ${raw}::bigint, current_setting(${literal(sizeSetting(domain))})::bigint)`,
      );
    default:
      return cast(masked(column, rule.rule, domain, { raw, value }));
  }
}

type RowRule = Extract<ColumnPlan['rule'], { rule: 'row' }>;

/** Null stays null; a row of nulls is none. */
function maskedRow(column: Column, rule: RowRule, raw: string): string {
  const attributes = attributePlans(column, rule).map((plan) =>
    maskedValue(plan, `(${raw}).${id(plan.column.name)}`),
  );
  return `case when ${raw} is distinct from null then row(${attributes.join(', ')})::${column.row?.type} end`;
}

/** What becomes of each attribute, in the type's order. A rule that leaves one out says why it is kept. */
export function attributePlans(column: Column, rule: RowRule): ColumnPlan[] {
  return (column.row?.attributes ?? []).map((attribute) => {
    const own = Object.hasOwn(rule.attributes, attribute.name) ? rule.attributes[attribute.name] : undefined;
    const kept = { rule: 'keep' as const, reason: rule.keepRest ?? '', allow: [] };
    const decided = own ?? kept;
    const domain = 'domain' in decided && decided.domain !== null ? `named ${decided.domain}` : decided.rule;
    return { column: attribute, rule: decided, domain };
  });
}

/** `alter … using` takes no subquery, so arrays of rows go through a function of their own, in each session that masks. */
export function rowFunctions(plan: MaskingPlan): Statement[] {
  return plan.tables.flatMap(({ display, columns, truncate }) =>
    (truncate ? [] : columns).flatMap(({ column, rule }) => functionsOf(column, rule, display)),
  );
}

function functionsOf(column: Column, rule: ColumnPlan['rule'], where: string): Statement[] {
  if (rule.rule !== 'row') return [];
  const inner = attributePlans(column, rule).flatMap((plan) => functionsOf(plan.column, plan.rule, where));
  if (!column.isArray) return inner;
  const rows = `${column.row?.type}[]`;
  const sql = `create or replace function pg_temp.${rowsFunction(column, rule)}(v ${rows}) returns ${rows} language sql stable strict as $bough_rows$
    select coalesce(array_agg(${maskedRow(column, rule, 'e')} order by n), '{}')
    from (select unnest(v) as e, generate_series(1, cardinality(v)) as n) s $bough_rows$`;
  return [...inner, { where, sql }];
}

function rowsFunction(column: Column, rule: RowRule): string {
  const made = JSON.stringify([column.row, rule]);
  return `bough_rows_${createHash('sha256').update(made).digest('hex').slice(0, 16)}`;
}

/** Keys too may be somebody's name: only those are kept that a path leads through. */
function withParents(paths: Readonly<Record<string, string>>): Record<string, string> {
  const all: Record<string, string> = {};
  for (const path of Object.keys(paths)) {
    const parts = path.split('.');
    for (let length = 1; length < parts.length; length += 1) all[parts.slice(0, length).join('.')] = 'into';
  }
  return { ...all, ...paths };
}

function masked(
  column: Column,
  rule: TextRule,
  domain: string,
  { raw, value }: { raw: string; value: string },
): string {
  if (column.isArray) return `pg_temp.bough_array(${literal(rule)}, ${literal(domain)}, ${raw}::text[])`;
  if (column.typeClass === 'bytes') return `pg_temp.bough_mac(${literal(domain)}, encode(${raw}, 'hex'))`;
  if (column.typeClass === 'uuid')
    return textExpression('uuid', { domain: literal(domain), value, unique: true });
  // The address alone: an expression over inet would show the mask's length too.
  const address = column.typeClass === 'network' ? `host(${raw})` : value;
  return textExpression(rule, {
    domain: literal(domain),
    value: address,
    unique: column.unique,
    maxLength: column.maxLength,
  });
}

function permutedDomains(plan: MaskingPlan): Map<string, { table: string; column: string }[]> {
  const domains = new Map<string, { table: string; column: string }[]>();
  for (const { table, columns, truncate } of plan.tables) {
    for (const { rule, domain, column } of truncate ? [] : columns) {
      if (rule.rule !== 'permuted-id') continue;
      domains.set(domain, [...(domains.get(domain) ?? []), { table: qualified(table), column: column.name }]);
    }
  }
  return domains;
}

/** A setting's name may hold few characters, and 63 of them. */
function sizeSetting(domain: string): string {
  return `bough.size_${createHash('sha256').update(domain).digest('hex').slice(0, 16)}`;
}

function owner(key: ForeignKey): string {
  return qualified({ schema: key.schema, name: key.table });
}
