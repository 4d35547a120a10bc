import type { ColumnRule, TextRule } from '@bough/manifest/sanitize-policy';
import type { Column, TypeClass } from './catalogue.ts';
import type { Finding } from './finding.ts';
import { suggestRule } from './personal-names.ts';

/** Characters that a rule writes at least; those that are only cut to fit are absent. */
const shortest: Partial<Record<TextRule, number>> = {
  email: 30,
  uuid: 36,
  iban: 22,
  card: 16,
  ip: 15,
  hash: 16,
  token: 16,
};
/** The same where the value must stay unique, which takes 64 bits more. */
const shortestUnique: Partial<Record<TextRule, number>> = {
  ...shortest,
  iban: 32,
  ip: 39,
  phone: 24,
  name: 30,
  'first-name': 25,
  'last-name': 25,
  address: 36,
  city: 28,
  company: 32,
  'free-text': 17,
  postcode: 17,
};

const takenBy: Partial<Record<ColumnRule['rule'], readonly TypeClass[]>> = {
  uuid: ['text', 'uuid'],
  ip: ['text', 'network'],
  hash: ['text', 'bytes', 'uuid'],
  'permuted-id': ['number'],
  'date-shift': ['time'],
  json: ['json'],
  hstore: ['hstore'],
  row: ['composite'],
};
const anyType: readonly ColumnRule['rule'][] = ['keep', 'null', 'constant', 'sql'];

/** What is wrong with this rule on this column; its type, its length, its uniqueness. */
export function checkRule(where: string, column: Column, rule: ColumnRule): Finding[] {
  const finding = (code: Finding['code'], message: string): Finding[] => [
    { code, where, message, paste: null },
  ];
  if (!takesType(column, rule))
    return finding(
      'not-maskable',
      `${rule.rule} cannot mask ${column.type}: use "null", a constant, sql or keep.`,
    );
  if (rule.rule === 'row') return checkRow(where, column, rule);
  if (rule.rule === 'null' && (column.notNull || column.inPrimaryKey))
    return finding('not-maskable', 'It may not be null: give it another rule, such as { constant: "" }.');
  if (rule.rule === 'card' && column.unique)
    return finding('not-unique', 'Card numbers are too short to stay unique when masked: use token or hash.');
  if ((rule.rule === 'constant' || rule.rule === 'date-shift') && column.uniqueAlone)
    return finding('not-unique', `Its values must be unique, which ${rule.rule} cannot keep.`);
  const lengths = column.unique ? shortestUnique : shortest;
  const needed = lengths[rule.rule as TextRule];
  if (
    column.typeClass === 'text' &&
    column.maxLength !== null &&
    needed !== undefined &&
    needed > column.maxLength
  )
    return finding(
      'too-short',
      `${column.type} is too short for ${rule.rule}, which writes ${needed} characters${column.unique ? ' where values are unique' : ''}: use "null", sql, or token.`,
    );
  return [];
}

/** Each attribute with a rule that it can take, none without. */
function checkRow(where: string, column: Column, rule: Extract<ColumnRule, { rule: 'row' }>): Finding[] {
  const attributes = column.row?.attributes ?? [];
  const names = attributes.map(({ name }) => name);
  const unknown = Object.keys(rule.attributes).filter((name) => !names.includes(name));
  return [
    ...unknown.map(
      (name): Finding => ({
        code: 'rule-unused',
        where: `${where}.${name}`,
        message: `${column.type} has no such attribute, but ${names.join(', ')}.`,
        paste: null,
      }),
    ),
    ...attributes.flatMap((attribute): Finding[] => {
      const own = Object.hasOwn(rule.attributes, attribute.name)
        ? rule.attributes[attribute.name]
        : undefined;
      if (own !== undefined) return checkRule(`${where}.${attribute.name}`, attribute, own);
      if (rule.keepRest !== null) return [];
      return [
        {
          code: 'undecided',
          where: `${where}.${attribute.name}`,
          message: `No rule decides this attribute (${attribute.type}): add "${attribute.name}: ${suggestRule(attribute)}" below row, or keep-rest: "why".`,
          paste: null,
        },
      ];
    }),
  ];
}

function takesType(column: Column, rule: ColumnRule): boolean {
  if (anyType.includes(rule.rule)) return true;
  if (column.baseType === 'char' || column.baseType === 'name') return false;
  const classes = takenBy[rule.rule] ?? ['text'];
  if (!classes.includes(column.typeClass)) return false;
  switch (rule.rule) {
    case 'permuted-id':
      return ['int2', 'int4', 'int8'].includes(column.baseType) && !column.isArray;
    case 'date-shift':
      return ['date', 'timestamp', 'timestamptz'].includes(column.baseType) && !column.isArray;
    case 'json':
      return !column.isArray;
    case 'hstore':
    case 'row':
      return true;
    default:
      return !column.isArray || column.typeClass === 'text';
  }
}
