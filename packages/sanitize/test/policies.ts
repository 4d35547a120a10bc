import type { ColumnRule, SanitizePolicy, TableRule } from '@bough/manifest/sanitize-policy';

type Word = Exclude<
  ColumnRule['rule'],
  'keep' | 'constant' | 'sql' | 'json' | 'hstore' | 'row' | 'date-shift'
>;
type Rules = Readonly<Record<string, ColumnRule | Word>>;
type Given = 'truncate' | { why: string } | { columns: Rules; where?: string };

/** A policy in the few words that a test needs. */
export function policyOf(
  tables: Readonly<Record<string, Given>>,
  rest: Partial<SanitizePolicy> = {},
): SanitizePolicy {
  return {
    kept: ['ids', 'numbers', 'timestamps', 'enums', 'booleans'],
    tables: Object.entries(tables).map(([pattern, given]) => ({ pattern, rule: tableRule(given) })),
    columns: [],
    default: 'fail',
    mounts: [],
    largeObjects: 'fail',
    comments: 'keep',
    ...rest,
  };
}

function tableRule(given: Given): TableRule {
  const nothing: TableRule = { truncate: false, keep: null, where: null, columns: [] };
  if (given === 'truncate') return { ...nothing, truncate: true };
  if ('why' in given) return { ...nothing, keep: given.why };
  return { ...nothing, where: given.where ?? null, columns: columnRules(given.columns) };
}

function columnRules(rules: Rules): TableRule['columns'] {
  return Object.entries(rules).map(([pattern, rule]) => ({ pattern, rule: columnRule(rule) }));
}

function columnRule(rule: ColumnRule | Word): ColumnRule {
  if (typeof rule !== 'string') return rule;
  return rule === 'null' ? { rule } : { rule, domain: null };
}
