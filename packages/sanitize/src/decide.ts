import type {
  ColumnRule,
  NamedRule,
  PresetName,
  SafeKind,
  SanitizePolicy,
  TableRule,
} from '@bough/manifest/sanitize-policy';
import type { Catalogue, Column, ForeignKey, Table } from './catalogue.ts';
import { checkRule } from './check-rule.ts';
import type { Finding } from './finding.ts';
import { displayTable, matchesName } from './names.ts';
import { personalHint, suggestRule } from './personal-names.ts';
import { type PresetRules, presetForTable, presetRulesFor } from './preset-rules.ts';

/** What will be done to one database. Made by `decide` alone. */
export interface MaskingPlan {
  readonly database: string;
  readonly tables: readonly TablePlan[];
  readonly foreignKeys: readonly ForeignKey[];
  readonly materializedViews: Catalogue['materializedViews'];
  readonly dropsLargeObjects: boolean;
  readonly dropsComments: boolean;
}

export interface TablePlan {
  readonly table: Table;
  readonly display: string;
  readonly truncate: boolean;
  readonly where: string | null;
  /** `rewrite`: one `alter table`; `update` where something depends on a column; `none`: nothing in it changes. */
  readonly method: 'rewrite' | 'update' | 'none';
  readonly columns: readonly ColumnPlan[];
  /** Where a preset decided of the whole table. */
  readonly preset?: PresetName | undefined;
}

export interface ColumnPlan {
  readonly column: Column;
  readonly rule: ColumnRule;
  /** Equal values of one domain stay equal, wherever they stand. */
  readonly domain: string;
  /** Where a preset decided. */
  readonly preset?: PresetName | undefined;
}

export type Decision =
  | { readonly kind: 'plan'; readonly plan: MaskingPlan; readonly used: ReadonlySet<string> }
  | { readonly kind: 'findings'; readonly findings: readonly Finding[]; readonly used: ReadonlySet<string> };

/**
 * Decides every column of every table, or says which it cannot. Pure. Nothing is kept because it looks harmless: only
 * because the policy says so.
 */
export function decide(catalogue: Catalogue, policy: SanitizePolicy): Decision {
  const used = new Set<string>();
  const findings: Finding[] = [];
  const decided = new Map<string, ColumnPlan>();
  const groups = joinedColumns(catalogue.foreignKeys);
  const tables = catalogue.tables.map((table) => {
    const rules = rulesFor(catalogue.database, table, policy, used);
    for (const column of table.columns) {
      if (column.generated || rules.truncate) continue;
      const found = ruleOf(column, rules, policy, used);
      if (found !== undefined)
        decided.set(keyOf(table, column.name), {
          column,
          ...found,
          domain: domainOf(found.rule, table, column, groups),
        });
    }
    return { table, rules };
  });
  inheritRules(catalogue, decided);
  for (const { table, rules } of tables) {
    for (const column of table.columns) {
      const kind = safeKindOf(table, column, catalogue.foreignKeys);
      if (rules.truncate || column.generated || decided.has(keyOf(table, column.name))) continue;
      if (kind === null || !policy.kept.includes(kind)) continue;
      const rule: ColumnRule = { rule: 'keep', reason: `${kind}: keep`, allow: [] };
      decided.set(keyOf(table, column.name), { column, rule, domain: rule.rule });
    }
  }
  const plans: TablePlan[] = [];
  for (const { table, rules } of tables) {
    const display = displayTable(catalogue.database, table);
    const columns: ColumnPlan[] = [];
    for (const column of table.columns) {
      if (column.generated || rules.truncate) continue;
      const plan = decided.get(keyOf(table, column.name)) ?? unknownAsNull(policy, column);
      if (plan === undefined)
        findings.push(undecided(display, column, presetForTable(catalogue.database, table, policy)));
      else {
        findings.push(...checkRule(`${display}.${column.name}`, column, plan.rule).map(ofPreset(plan)));
        columns.push(plan);
      }
    }
    const method = methodOf(table, columns);
    if (method === 'update') findings.push(...checkPermuted(display, columns));
    const { truncate, where, preset } = rules;
    plans.push({ table, display, truncate, where, method, columns, preset });
  }
  findings.push(...checkForeignKeys(catalogue, decided, plans));
  if (catalogue.largeObjects > 0 && policy.largeObjects === 'fail')
    findings.push(largeObjectsFinding(catalogue));
  if (findings.length > 0) return { kind: 'findings', findings, used };
  return {
    kind: 'plan',
    used,
    plan: {
      database: catalogue.database,
      tables: plans,
      foreignKeys: catalogue.foreignKeys,
      materializedViews: catalogue.materializedViews,
      dropsLargeObjects: policy.largeObjects === 'drop',
      dropsComments: policy.comments === 'drop',
    },
  };
}

/** Rules that spoke of nothing in any of the databases: a column was renamed, or the rule has a slip in it. */
export function unusedRules(policy: SanitizePolicy, used: ReadonlySet<string>): Finding[] {
  const all = [
    ...policy.tables.flatMap(({ pattern, rule }) => [
      tableKey(pattern),
      ...rule.columns.map((column) => columnKey(pattern, column.pattern)),
    ]),
    ...policy.columns.map(({ pattern }) => `columns: ${pattern}`),
  ];
  return all
    .filter((key) => !used.has(key))
    .map((where) => ({
      code: 'rule-unused',
      where,
      message: `The rule for ${where} matches nothing that production has.`,
      paste: null,
    }));
}

interface TableRules {
  readonly truncate: boolean;
  readonly keep: string | null;
  readonly where: string | null;
  readonly columns: readonly { pattern: string; rule: ColumnRule; key: string }[];
  /** Set where no rule of the policy's own speaks of the whole table, and one of a preset does. */
  readonly preset: PresetName | undefined;
  readonly presets: PresetRules;
}

function tableKey(pattern: string): string {
  return `tables: ${pattern}`;
}

function columnKey(table: string, column: string): string {
  return `tables: ${table}: ${column}`;
}

/** Names without a wildcard come first, then the order written. */
function rulesFor(database: string, table: Table, policy: SanitizePolicy, used: Set<string>): TableRules {
  const matching = exactFirst(policy.tables).filter(({ pattern }) => matchesName(pattern, database, table));
  for (const { pattern } of matching) used.add(tableKey(pattern));
  const rules = matching.map(({ rule }) => rule);
  const first = <Value>(pick: (rule: TableRule) => Value | null) =>
    rules.map(pick).find((value) => value !== null) ?? null;
  // Whichever speaks of the whole table first: an exact `keep` wins over a wildcard's `truncate`.
  const whole = rules.find((rule) => rule.truncate || rule.keep !== null || rule.columns.length > 0);
  const presets = presetRulesFor(database, table, policy);
  const preset = whole === undefined ? presets.whole : null;
  return {
    truncate: whole?.truncate === true || (preset !== null && preset.keep === null),
    keep: whole?.keep ?? null,
    where: first((rule) => rule.where) ?? presets.where,
    preset: preset?.preset,
    presets,
    columns: matching.flatMap(({ pattern, rule }) =>
      exactFirst(rule.columns).map((column) => ({ ...column, key: columnKey(pattern, column.pattern) })),
    ),
  };
}

function exactFirst<Rule>(rules: readonly NamedRule<Rule>[]): NamedRule<Rule>[] {
  const isGlob = ({ pattern }: NamedRule<Rule>) => pattern.includes('*');
  return [...rules.filter((rule) => !isGlob(rule)), ...rules.filter(isGlob)];
}

/** What the policy says of it by name: its own rules first, then those of its presets. */
function ruleOf(
  column: Column,
  rules: TableRules,
  policy: SanitizePolicy,
  used: Set<string>,
): Pick<ColumnPlan, 'rule' | 'preset'> | undefined {
  const own = rules.columns.filter(({ pattern }) => glob(pattern, column.name));
  for (const { key } of own) used.add(key);
  const anywhere = exactFirst(policy.columns).filter(({ pattern }) => glob(pattern, column.name));
  for (const { pattern } of anywhere) used.add(`columns: ${pattern}`);
  if (own[0] !== undefined) return { rule: own[0].rule };
  if (rules.keep !== null) return { rule: { rule: 'keep', reason: rules.keep, allow: [] } };
  if (anywhere[0] !== undefined) return { rule: anywhere[0].rule };
  const { whole } = rules.presets;
  if (rules.preset !== undefined && whole !== null && whole.keep !== null)
    return { rule: { rule: 'keep', reason: whole.keep, allow: [] }, preset: whole.preset };
  return rules.presets.columnRule(column);
}

/** Whoever reads the finding looks for the rule in the manifest, and it is not there. */
function ofPreset({ preset }: ColumnPlan): (finding: Finding) => Finding {
  if (preset === undefined) return (finding) => finding;
  return (finding) => ({
    ...finding,
    message: `${finding.message} The rule is of the preset "${preset}"; one of your own wins.`,
  });
}

/** Which of the policy's words would keep it; none when its name says that it is personal. */
function safeKindOf(table: Table, column: Column, foreignKeys: readonly ForeignKey[]): SafeKind | null {
  const isReference = foreignKeys.some(
    (key) => key.schema === table.schema && key.table === table.name && key.columns.includes(column.name),
  );
  const isNumberOrUuid = column.typeClass === 'number' || column.typeClass === 'uuid';
  if (isNumberOrUuid && !column.isArray && (column.inPrimaryKey || isReference)) return 'ids';
  if (personalHint(column) !== null) return null;
  const kinds: Partial<Record<Column['typeClass'], SafeKind>> = {
    number: 'numbers',
    time: 'timestamps',
    enum: 'enums',
    boolean: 'booleans',
  };
  return kinds[column.typeClass] ?? null;
}

/** A reference that no rule names is masked as what it refers to, so that the join survives; along chains too. */
function inheritRules(catalogue: Catalogue, decided: Map<string, ColumnPlan>): void {
  for (let round = 0; round < catalogue.foreignKeys.length; round += 1) {
    let changed = false;
    for (const key of catalogue.foreignKeys) {
      const table = catalogue.tables.find(({ schema, name }) => schema === key.schema && name === key.table);
      for (const [index, name] of key.columns.entries()) {
        const column = table?.columns.find((candidate) => candidate.name === name);
        const source = decided.get(`${key.target.schema}.${key.target.table}.${key.target.columns[index]}`);
        if (table === undefined || column === undefined || column.generated || source === undefined) continue;
        if (decided.has(keyOf(table, name)) || source.rule.rule === 'sql') continue;
        decided.set(keyOf(table, name), { ...source, column });
        changed = true;
      }
    }
    if (!changed) return;
  }
}

function unknownAsNull(policy: SanitizePolicy, column: Column): ColumnPlan | undefined {
  if (policy.default !== 'null-unknown' || column.notNull || column.inPrimaryKey) return undefined;
  return { column, rule: { rule: 'null' }, domain: '' };
}

/** The older inheritance and partition keys cannot be altered; nor can what views and generated columns read. */
function methodOf(table: Table, columns: readonly ColumnPlan[]): TablePlan['method'] {
  const changed = columns.filter(({ rule }) => rule.rule !== 'keep');
  if (changed.length === 0) return 'none';
  const isBound = changed.some(({ column }) => column.dependents.length > 0 || column.inPartitionKey);
  return isBound || table.kind === 'inherited' ? 'update' : 'rewrite';
}

function checkPermuted(display: string, columns: readonly ColumnPlan[]): Finding[] {
  const first = columns.flatMap(({ column }) => column.dependents)[0] ?? 'its kind of table';
  return columns
    .filter(({ rule, column }) => rule.rule === 'permuted-id' && column.unique)
    .map(({ column }) => ({
      code: 'not-maskable',
      where: `${display}.${column.name}`,
      message: `permuted-id cannot be used here: rows would collide half-way, because ${first} forbids to rewrite the column at once.`,
      paste: pasteRule(display, column.name, '{ keep: "numbers without meaning" }'),
    }));
}

function undecided(display: string, column: Column, preset: PresetName | undefined): Finding {
  const hint = personalHint(column);
  return {
    code: 'undecided',
    where: `${display}.${column.name}`,
    message: `No rule decides this column (${column.type}${
      hint === null ? '; its name says nothing personal' : `; its name looks like ${hint.looksLike}`
    }).${preset === undefined ? '' : ` The table is one that \`presets: [${preset}]\` decides.`}`,
    paste: pasteRule(display, column.name, suggestRule(column)),
  };
}

function pasteRule(display: string, column: string, rule: string): string {
  return `tables:\n  ${yamlKey(display)}:\n    ${yamlKey(column)}: ${rule}`;
}

function yamlKey(name: string): string {
  const isReserved = ['null', 'true', 'false', 'yes', 'no', 'on', 'off', 'y', 'n'].includes(
    name.toLowerCase(),
  );
  return /^[A-Za-z_][\w./-]*$/.test(name) && !isReserved ? name : JSON.stringify(name);
}

function largeObjectsFinding(catalogue: Catalogue): Finding {
  return {
    code: 'large-objects',
    where: catalogue.database,
    message: `The database holds ${catalogue.largeObjects} large objects, which no rule can look into.`,
    paste: 'large-objects: drop',
  };
}

/** Both sides of a reference must change alike, or the join is lost. A reference may become null where that is allowed. */
function checkForeignKeys(
  catalogue: Catalogue,
  decided: ReadonlyMap<string, ColumnPlan>,
  plans: readonly TablePlan[],
): Finding[] {
  return catalogue.foreignKeys.flatMap((key) =>
    key.columns.flatMap((name, index): Finding[] => {
      const here = decided.get(`${key.schema}.${key.table}.${name}`);
      const targetName = `${key.target.schema}.${key.target.table}.${key.target.columns[index]}`;
      const there = decided.get(targetName);
      if (here === undefined || there === undefined) return [];
      if (here.rule.rule === 'null' || signature(here) === signature(there)) return [];
      const plan = plans.find(({ table }) => table.schema === key.schema && table.name === key.table);
      return [
        {
          code: 'foreign-key',
          where: `${plan?.display ?? key.table}.${name}`,
          message: `It refers to ${targetName} but has another rule (${here.rule.rule}, there ${there.rule.rule}), so the two would no longer join.`,
          paste: null,
        },
      ];
    }),
  );
}

function signature({ rule, domain }: ColumnPlan): string {
  if (rule.rule === 'keep') return 'keep';
  return JSON.stringify([
    rule.rule,
    domain,
    'value' in rule ? rule.value : null,
    'days' in rule ? rule.days : null,
  ]);
}

function domainOf(
  rule: ColumnRule,
  table: Table,
  column: Column,
  groups: ReadonlyMap<string, string>,
): string {
  if ('domain' in rule && rule.domain !== null) return `named ${rule.domain}`;
  if (rule.rule === 'permuted-id') return groups.get(keyOf(table, column.name)) ?? keyOf(table, column.name);
  return rule.rule;
}

/** Column → the name of its group of columns that refer to each other: the smallest name in it. */
function joinedColumns(keys: readonly ForeignKey[]): ReadonlyMap<string, string> {
  const group = new Map<string, string>();
  const find = (name: string): string => {
    const parent = group.get(name) ?? name;
    return parent === name ? name : find(parent);
  };
  for (const key of keys) {
    for (const [index, column] of key.columns.entries()) {
      const pair = [
        find(`${key.schema}.${key.table}.${column}`),
        find(`${key.target.schema}.${key.target.table}.${key.target.columns[index]}`),
      ].sort();
      const [root = '', other = ''] = pair;
      group.set(root, root);
      group.set(other, root);
    }
  }
  return new Map([...group.keys()].map((name) => [name, find(name)]));
}

function keyOf(table: Table, column: string): string {
  return `${table.schema}.${table.name}.${column}`;
}

function glob(pattern: string, name: string): boolean {
  return matchesName(pattern, '', { schema: 'public', name });
}
