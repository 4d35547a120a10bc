import { randomBytes } from 'node:crypto';
import type { Client } from 'pg';
import pg from 'pg';
import type { Column } from './catalogue.ts';
import type { ColumnPlan, MaskingPlan, TablePlan } from './decide.ts';
import { attributePlans, maskExpression } from './masking-sql.ts';
import { id, literal, qualified } from './quote.ts';

/** Rows with unmistakable values in every column that is to be masked. None of them may be seen afterwards, nowhere. */
export interface Canaries {
  /** In every planted value. */
  readonly mark: string;
  readonly planted: readonly PlantedRow[];
  /** Columns that carry one. */
  readonly columns: number;
  /** Tables with rows to mask that could not take one (a check constraint, no key to find it again by). */
  readonly refused: readonly string[];
}

interface PlantedRow {
  readonly display: string;
  /** Finds the row after masking, and nothing else. */
  readonly removal: string;
}

const rowsPerTable = 3;
const tokenDigits = 8;
const injective: readonly ColumnPlan['rule']['rule'][] = ['email', 'hash', 'token', 'uuid'];

export function newMark(): string {
  return `bc${randomBytes(4).toString('hex')}`;
}

/** Plants copies of an existing row, changed where they will be masked and where they must differ. */
export async function plantCanaries(client: Client, plan: MaskingPlan, mark: string): Promise<Canaries> {
  const planted: PlantedRow[] = [];
  const refused: string[] = [];
  let columns = 0;
  for (const [index, table] of plan.tables.entries()) {
    if (table.truncate || table.method === 'none') continue;
    const name = qualified(table.table);
    const { rows } = await client.query<{ present: boolean }>(
      `select exists (select from ${name}) as present`,
    );
    if (rows[0]?.present !== true) continue;
    const tops = await highestNumbers(client, table);
    const done: PlantedRow[] = [];
    for (let row = 0; row < rowsPerTable; row += 1) {
      const token = `${mark}${(index * 1_000 + row).toString(16).padStart(tokenDigits, '0')}`;
      const values = canaryValues(table, token, row, tops);
      const removal = removalOf(table, values);
      if (removal === undefined || !(await insertCopy(client, table, values))) break;
      done.push({ display: table.display, removal });
      if (row === 0) columns += [...values.values()].filter(({ marked }) => marked).length;
    }
    if (done.length === 0) refused.push(table.display);
    planted.push(...done);
  }
  return { mark, planted, columns, refused };
}

/** Takes them out again; false when one is not where it must be. */
export async function removeCanaries(client: Client, canaries: Canaries): Promise<boolean> {
  let removed = 0;
  for (const { removal } of canaries.planted) removed += (await client.query(removal)).rowCount ?? 0;
  return removed === canaries.planted.length;
}

interface CanaryValue {
  /** SQL of the column's type. */
  readonly sql: string;
  /** Carries the token. */
  readonly marked: boolean;
}

function canaryValues(
  table: TablePlan,
  token: string,
  row: number,
  tops: ReadonlyMap<string, bigint>,
): Map<string, CanaryValue> {
  const values = new Map<string, CanaryValue>();
  for (const plan of table.columns) {
    const value = canaryValue(plan, token, row, tops);
    if (value !== undefined) values.set(plan.column.name, value);
  }
  return values;
}

/** Undefined: as the copied row has it. */
function canaryValue(
  { column, rule }: ColumnPlan,
  token: string,
  row: number,
  tops: ReadonlyMap<string, bigint>,
  isAttribute = false,
): CanaryValue | undefined {
  const of = (text: string, marked = true) => ({ sql: `${text}::${column.type}`, marked });
  if (rule.rule !== 'keep') {
    const text = rule.rule === 'email' ? `${token}@raw.invalid` : token;
    const fits = column.maxLength === null || column.maxLength >= text.length;
    switch (column.typeClass) {
      case 'text':
        if (!fits) return column.unique ? undefined : undefined;
        return of(column.isArray ? `array[${literal(text)}]` : literal(text));
      case 'bytes':
        return column.isArray ? undefined : of(`convert_to(${literal(token)}, 'UTF8')`);
      case 'json':
        return column.isArray ? undefined : of(literal(JSON.stringify(canaryDocument(rule, token))));
      case 'hstore': {
        const text = canaryPairs(rule, token);
        return of(column.isArray ? `array[${literal(text)}]` : literal(text));
      }
      case 'composite': {
        const inner =
          rule.rule === 'row' ? canaryRow(column, rule, token, `s.${id(column.name)}`) : undefined;
        if (inner !== undefined) return of(column.isArray ? `array[${inner}]` : inner);
        break;
      }
      default:
        break;
    }
  }
  if (!column.unique || column.isArray || isAttribute) return undefined;
  return distinctValue(column, token, row, tops, of);
}

/** For a key: a value that no row has, without the mark where it stays as it is. */
function distinctValue(
  column: Column,
  token: string,
  row: number,
  tops: ReadonlyMap<string, bigint>,
  of: (text: string, marked: boolean) => CanaryValue,
): CanaryValue | undefined {
  switch (column.typeClass) {
    case 'number': {
      const top = tops.get(column.name);
      return top === undefined ? undefined : of(literal(String(top + BigInt(row) + 1n)), false);
    }
    case 'uuid':
      return of(`md5(${literal(`filler ${token.slice(-tokenDigits)}`)})::uuid`, false);
    case 'text':
      return of(literal(`filler-${token.slice(-tokenDigits)}`), false);
    default:
      return undefined;
  }
}

function canaryDocument(rule: ColumnPlan['rule'], token: string): unknown {
  const paths = rule.rule === 'json' ? Object.entries(rule.paths) : [];
  const masked = paths.filter(([, leaf]) => leaf !== 'keep').map(([path]) => path.split('.'));
  const document: Record<string, unknown> =
    rule.rule === 'json' && rule.keepRest !== null ? {} : { canary: token, list: [token] };
  for (const path of masked) {
    if (path[0] === '*' || path.length === 0) continue;
    const [head = '', ...rest] = path;
    if (document[head] === undefined) document[head] = nest(rest, token);
  }
  return document;
}

/** The token as value of every key that is masked, and as key and value where what is not named goes. */
function canaryPairs(rule: ColumnPlan['rule'], token: string): string {
  const keys = rule.rule === 'hstore' ? Object.entries(rule.keys) : [];
  const isKept = rule.rule === 'hstore' && rule.keepRest !== null;
  const masked = keys.filter(([key, leaf]) => key !== '*' && leaf !== 'keep').map(([key]) => key);
  const others = keys.some(([key]) => key === '*') ? ['canary'] : isKept ? [] : ['canary', token];
  const quoted = (key: string) => `"${key.replace(/["\\]/g, '\\$&')}"`;
  return [...masked, ...others].map((key) => `${quoted(key)}=>"${token}"`).join(',');
}

/** The token in each text that is masked; the other attributes as `copied` has them. Undefined: none can carry it. */
function canaryRow(
  column: Column,
  rule: Extract<ColumnPlan['rule'], { rule: 'row' }>,
  token: string,
  copied: string,
): string | undefined {
  const whole = column.isArray ? `(${copied})[1]` : copied;
  let carried = false;
  const attributes = attributePlans(column, rule).map((plan) => {
    const own = `(${whole}).${id(plan.column.name)}`;
    const value =
      plan.column.typeClass === 'composite' && plan.rule.rule === 'row'
        ? arrayed(plan.column, canaryRow(plan.column, plan.rule, token, own))
        : canaryValue(plan, token, 0, new Map(), true)?.sql;
    carried ||= value !== undefined;
    return value ?? own;
  });
  return carried ? `row(${attributes.join(', ')})::${column.row?.type}` : undefined;
}

function arrayed(column: Column, value: string | undefined): string | undefined {
  if (value === undefined) return undefined;
  return column.isArray ? `array[${value}]::${column.type}` : value;
}

function nest(path: readonly string[], token: string): unknown {
  const [head, ...rest] = path;
  if (head === undefined) return token;
  return head === '*' ? [nest(rest, token)] : { [head]: nest(rest, token) };
}

async function highestNumbers(client: Client, table: TablePlan): Promise<Map<string, bigint>> {
  const numbers = table.columns.filter(
    ({ column }) => column.unique && !column.isArray && ['int2', 'int4', 'int8'].includes(column.baseType),
  );
  if (numbers.length === 0) return new Map();
  const { rows } = await client.query<Record<string, string>>(
    `select ${numbers.map(({ column }, index) => `greatest(max(${id(column.name)}), 0)::text as n${index}`).join(', ')} from ${qualified(table.table)}`,
  );
  return new Map(numbers.map(({ column }, index) => [column.name, BigInt(rows[0]?.[`n${index}`] ?? '0')]));
}

async function insertCopy(
  client: Client,
  table: TablePlan,
  values: ReadonlyMap<string, CanaryValue>,
): Promise<boolean> {
  const names = table.columns.map(({ column }) => id(column.name));
  const picked = table.columns.map(({ column }) => values.get(column.name)?.sql ?? `s.${id(column.name)}`);
  const only = table.table.kind === 'inherited' ? 'only ' : '';
  try {
    await client.query(
      `insert into ${qualified(table.table)} (${names.join(', ')}) overriding system value
       select ${picked.join(', ')} from ${only}${qualified(table.table)} s limit 1`,
    );
    return true;
  } catch (error) {
    // Its schema does not take such a row (a check constraint): said in the report, the samples still stand.
    if (error instanceof pg.DatabaseError && (error.code ?? '').startsWith('2')) return false;
    throw error;
  }
}

/** By a key whose every value we gave, or by a column whose masked value is as unique as the token. */
function removalOf(table: TablePlan, values: ReadonlyMap<string, CanaryValue>): string | undefined {
  const plans = new Map(table.columns.map((plan) => [plan.column.name, plan]));
  const isKnown = (name: string) => {
    const plan = plans.get(name);
    return values.has(name) && plan !== undefined && isTraceable(plan);
  };
  const unique = table.table.uniques.find((columns) => columns.length > 0 && columns.every(isKnown));
  const single = table.columns.find(
    ({ column, rule }) =>
      !column.isArray && column.typeClass === 'text' && injective.includes(rule.rule) && isKnown(column.name),
  );
  const key = unique ?? (single === undefined ? undefined : [single.column.name]);
  if (key === undefined) return undefined;
  const conditions = key.map((name) => {
    const plan = plans.get(name);
    const value = values.get(name);
    if (plan === undefined || value === undefined) throw new Error('a key without a value');
    return `${id(name)} = (select ${maskExpression(plan)} from (select ${value.sql} as ${id(name)}) r)`;
  });
  const only = table.table.kind === 'inherited' ? 'only ' : '';
  return `delete from ${only}${qualified(table.table)} where ${conditions.join(' and ')}`;
}

function isTraceable({ rule }: ColumnPlan): boolean {
  return !['null', 'constant', 'sql', 'json', 'hstore', 'row', 'date-shift'].includes(rule.rule);
}
