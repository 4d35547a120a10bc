import type { ColumnPlan, MaskingPlan, TablePlan } from '../decide.ts';
import { type MaskContext, valueMask } from './mask-value.ts';
import { id, literal, qualified } from './quote.ts';
import type { Session } from './session.ts';

/** Rows with unmistakable values in every column that is to be masked. None of them may be seen afterwards, nowhere. */
export interface Canaries {
  readonly planted: readonly PlantedRow[];
  /** Columns that carry one. */
  readonly columns: number;
  /** Tables that could take none; their columns are proved by samples and detectors alone. */
  readonly refused: number;
}

interface PlantedRow {
  readonly plan: TablePlan;
  /** What it is found by among the masked rows: columns with their values before masking. */
  readonly key: ReadonlyMap<string, string>;
}

const rowsPerTable = 3;
const tokenDigits = 8;
const injective: readonly ColumnPlan['rule']['rule'][] = ['email', 'hash', 'token', 'uuid'];

/** Copies of an existing row, changed where they will be masked and where they must differ. */
export async function plantCanaries(session: Session, plan: MaskingPlan, mark: string): Promise<Canaries> {
  const planted: PlantedRow[] = [];
  let columns = 0;
  let refused = 0;
  for (const [index, table] of plan.tables.entries()) {
    if (table.truncate || table.method === 'none') continue;
    const name = qualified({ database: plan.database, name: table.table.name });
    if ((await session.query(`select 1 from ${name} limit 1`)).length === 0) continue;
    let done = 0;
    for (let row = 0; row < rowsPerTable; row += 1) {
      const token = `${mark}${(index * 1_000 + row).toString(16).padStart(tokenDigits, '0')}`;
      const values = await canaryValues(session, name, table, token);
      const key = keyOf(table, values);
      if (key === undefined || !(await insertCopy(session, name, table, values))) break;
      planted.push({ plan: table, key });
      if (row === 0) columns += [...values.values()].filter((text) => text.includes(mark)).length;
      done += 1;
    }
    if (done === 0) refused += 1;
  }
  return { planted, columns, refused };
}

/** Takes them out of the masked copy, by what their keys have become; false when one is not where it must be. */
export async function removeCanaries(
  session: Session,
  database: string,
  canaries: Canaries,
  context: MaskContext,
): Promise<boolean> {
  let removed = 0;
  for (const { plan, key } of canaries.planted) {
    const conditions = plan.columns.flatMap((column) => {
      const value = key.get(column.column.name);
      return value === undefined
        ? []
        : [`${id(column.column.name)} = ${valueMask(column, context)(Buffer.from(value))}`];
    });
    const table = qualified({ database, name: plan.table.name });
    removed += await session.execute(`delete from ${table} where ${conditions.join(' and ')}`);
  }
  return removed === canaries.planted.length;
}

/** Column → its value in the canary; the others are as the copied row has them. */
async function canaryValues(
  session: Session,
  name: string,
  { columns }: TablePlan,
  token: string,
): Promise<Map<string, string>> {
  const values = new Map<string, string>();
  for (const { column, rule } of columns) {
    const isMasked = rule.rule !== 'keep';
    const text =
      isMasked && rule.rule === 'email'
        ? `${token}@raw.invalid`
        : isMasked
          ? token
          : `filler-${token.slice(-tokenDigits)}`;
    const fits = column.maxLength === null || column.maxLength >= text.length;
    if (isMasked && column.typeClass === 'json')
      values.set(column.name, JSON.stringify(document(rule, token)));
    else if ((isMasked || column.unique) && column.typeClass === 'text' && fits)
      values.set(column.name, text);
    else if (isMasked && column.typeClass === 'bytes' && bytesOf(column.type) >= token.length)
      values.set(column.name, token);
    else if (column.unique && ['int1', 'int2', 'int4', 'int8'].includes(column.baseType)) {
      const [row] = await session.query<{ n: string }>(
        `select greatest(coalesce(max(${id(column.name)}), 0), 0) + 1 as n from ${name}`,
      );
      values.set(column.name, String(row?.n));
    }
  }
  return values;
}

function bytesOf(type: string): number {
  const length = /binary\((\d+)\)/.exec(type)?.[1];
  return length === undefined ? 255 : Number(length);
}

/** A unique key whose every value we gave and can follow through its mask, or a column that is as unique as the token. */
function keyOf(table: TablePlan, values: ReadonlyMap<string, string>): Map<string, string> | undefined {
  const plans = new Map(table.columns.map((plan) => [plan.column.name, plan]));
  const isKnown = (name: string) => {
    const rule = plans.get(name)?.rule.rule;
    return (
      values.has(name) &&
      rule !== undefined &&
      !['null', 'constant', 'sql', 'json', 'date-shift'].includes(rule)
    );
  };
  const unique = table.table.uniques.find((names) => names.length > 0 && names.every(isKnown));
  const single = table.columns.find(
    ({ column, rule }) =>
      column.typeClass === 'text' && injective.includes(rule.rule) && isKnown(column.name),
  );
  const names = unique ?? (single === undefined ? undefined : [single.column.name]);
  return names && new Map(names.map((name) => [name, values.get(name) ?? '']));
}

async function insertCopy(
  session: Session,
  name: string,
  table: TablePlan,
  values: ReadonlyMap<string, string>,
): Promise<boolean> {
  const names = table.columns.map(({ column }) => id(column.name));
  const picked = table.columns.map(({ column }) => {
    const value = values.get(column.name);
    return value === undefined ? id(column.name) : literal(value);
  });
  try {
    await session.execute(
      `insert into ${name} (${names.join(', ')}) select ${picked.join(', ')} from ${name} limit 1`,
    );
    return true;
  } catch (error) {
    // Its schema does not take such a row: counted in the report, the samples still stand.
    const { errno } = (error ?? {}) as { errno?: unknown };
    if (typeof errno === 'number' && errno > 0 && errno !== 1317 && errno !== 2013) return false;
    throw error;
  }
}

/** The token in every leaf that is masked, and in places that no rule speaks of where those are not kept. */
function document(rule: ColumnPlan['rule'], token: string): unknown {
  if (rule.rule !== 'json') return { canary: token };
  const given: Record<string, unknown> = rule.keepRest === null ? { canary: token, list: [token] } : {};
  for (const [path, leaf] of Object.entries(rule.paths)) {
    const [head, ...rest] = path.split('.');
    if (leaf === 'keep' || head === undefined || head === '*' || given[head] !== undefined) continue;
    given[head] = nest(rest, token);
  }
  return given;
}

function nest(path: readonly string[], token: string): unknown {
  const [head, ...rest] = path;
  if (head === undefined) return token;
  return head === '*' ? [nest(rest, token)] : { [head]: nest(rest, token) };
}
