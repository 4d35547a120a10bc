import type { MaskingPlan } from '../decide.ts';
import type { Finding } from '../finding.ts';
import { displayTable } from '../names.ts';
import type { Definition, Definitions } from './definitions.ts';
import { detect } from './detect.ts';

/** Names, and strings with what makes them a comment. */
const tokens = /`(?:[^`]|``)*`|( COMMENT[ =])?'(?:[^'\\]|''|\\.)*'/g;

/** Where the policy says so: comments of tables and of their columns, indexes and partitions. */
export function withoutComments(definitions: Definitions, plans: readonly MaskingPlan[]): Definitions {
  if (!plans.some(({ dropsComments }) => dropsComments)) return definitions;
  const tables = definitions.tables.map((table) => ({
    ...table,
    sql: table.sql.replace(tokens, (token, comment) => (comment === undefined ? token : '')),
  }));
  return { ...definitions, tables };
}

/**
 * What people write into a schema is no row, and may hold what rows hold. Samples are looked for in all of it; shapes only
 * where nothing but words can stand (comments, labels), because an address in a default is often the operator's own.
 */
export function verifyDefinitions(
  definitions: Definitions,
  plans: readonly MaskingPlan[],
  samples: ReadonlySet<string>,
): Finding[] {
  const all = [...definitions.tables, ...definitions.programs, ...definitions.views];
  return [
    ...all.filter((one) => holdsSample(one, samples)).map((one) => finding('definition', one, sampled, null)),
    ...definitions.tables
      .filter((one) => comments(one).some(isShaped))
      .map((one) => finding('comment', one, shaped, 'comments: drop')),
    ...plans.flatMap(labelFindings),
  ];
}

const sampled = 'It holds a value of a masked column.';
const shaped = 'It holds what looks like an e-mail address, a phone number, a key, a card or an account.';

function finding(
  what: string,
  { schema, name }: Pick<Definition, 'schema' | 'name'>,
  message: string,
  paste: string | null,
): Finding {
  const display = displayTable(schema, { schema: 'public', name });
  return { code: 'raw-value', where: `${what} ${display}`, message, paste };
}

function holdsSample({ sql }: Definition, samples: ReadonlySet<string>): boolean {
  const plain = sql.replaceAll("''", "'");
  return [...samples].some((sample) => plain.includes(sample));
}

function comments({ sql }: Definition): string[] {
  return [...sql.matchAll(tokens)].flatMap(([token, comment]) => (comment === undefined ? [] : [token]));
}

function isShaped(text: string): boolean {
  return detect(text).some(({ certain }) => certain);
}

/** Labels of enums and sets, by the leave of their columns. */
function labelFindings(plan: MaskingPlan): Finding[] {
  return plan.tables.flatMap(({ table, columns }) =>
    columns
      .filter(({ column, rule }) => {
        const isAllowed = rule.rule === 'keep' && rule.allow.length > 0;
        return column.typeClass === 'enum' && !isAllowed && isShaped(column.type);
      })
      .map(({ column }) =>
        finding('label', { schema: plan.database, name: `${table.name}.${column.name}` }, shaped, null),
      ),
  );
}
