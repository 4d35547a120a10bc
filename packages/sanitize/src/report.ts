import { type ColumnRule, type Detector, detectors } from '@bough/manifest/sanitize-policy';
import type { MaskingPlan } from './decide.ts';
import { displayTable } from './names.ts';

/** What was done and looked at, never a value. Signed with the snapshot. */
export interface DatabaseReport {
  readonly tables: number;
  readonly columns: number;
  readonly columnsMasked: number;
  readonly rows: number;
  readonly columnsScanned: number;
  readonly rowsScanned: number;
  readonly canariesPlanted: number;
  readonly canaryColumns: number;
  /** Tables that could take no canary; their columns were proved by samples and detectors alone. */
  readonly tablesWithoutCanary: number;
  readonly valuesSampled: number;
  readonly referencesChecked: number;
  readonly detected: Detected;
  readonly decisions: readonly Decided[];
}

export interface MaskingReport extends DatabaseReport {
  readonly databases: number;
}

/** Kind → where the rules let it stand: what stands elsewhere is a finding. */
export type Detected = Readonly<Record<Detector, { readonly columns: number; readonly rows: number }>>;

/** `customers.email` → `email`. */
export interface Decided {
  readonly where: string;
  readonly rule: string;
}

export function addReports(reports: readonly DatabaseReport[]): MaskingReport {
  const sum = (pick: (report: DatabaseReport) => number) =>
    reports.reduce((total, report) => total + pick(report), 0);
  return {
    databases: reports.length,
    tables: sum((one) => one.tables),
    columns: sum((one) => one.columns),
    columnsMasked: sum((one) => one.columnsMasked),
    rows: sum((one) => one.rows),
    columnsScanned: sum((one) => one.columnsScanned),
    rowsScanned: sum((one) => one.rowsScanned),
    canariesPlanted: sum((one) => one.canariesPlanted),
    canaryColumns: sum((one) => one.canaryColumns),
    tablesWithoutCanary: sum((one) => one.tablesWithoutCanary),
    valuesSampled: sum((one) => one.valuesSampled),
    referencesChecked: sum((one) => one.referencesChecked),
    detected: addDetected(reports.map(({ detected }) => detected)),
    decisions: reports.flatMap(({ decisions }) => decisions),
  };
}

export function addDetected(all: readonly Detected[]): Detected {
  const sum = (kind: Detector, what: 'columns' | 'rows') =>
    all.reduce((total, one) => total + one[kind][what], 0);
  const entries = detectors.map((kind) => [kind, { columns: sum(kind, 'columns'), rows: sum(kind, 'rows') }]);
  return Object.fromEntries(entries) as Record<Detector, { columns: number; rows: number }>;
}

/** One column in which a kind was seen and may be. */
export function detectedOnce(kind: Detector, rows: number): Detected {
  return { ...addDetected([]), [kind]: { columns: 1, rows } };
}

/** Every column with its rule, and tables that are emptied. What is computed from others has no rule of its own. */
export function decisionsOf(plan: MaskingPlan): Decided[] {
  return plan.tables.flatMap(({ table, truncate, where, columns, preset }): Decided[] => {
    const display = displayTable(plan.database, table);
    if (truncate) return [{ where: display, rule: `truncate${by(preset)}` }];
    const filter = where === null ? [] : [{ where: display, rule: `where ${where}` }];
    return [
      ...filter,
      ...columns.map(({ column, rule, preset: of }) => ({
        where: `${display}.${column.name}`,
        rule: `${ruleWords(rule)}${by(of)}`,
      })),
    ];
  });
}

const by = (preset: string | undefined): string => (preset === undefined ? '' : ` (preset ${preset})`);

function ruleWords(rule: ColumnRule): string {
  switch (rule.rule) {
    case 'keep': {
      const allow = rule.allow.length === 0 ? '' : ` (may hold: ${rule.allow.join(', ')})`;
      return `keep: ${rule.reason}${allow}`;
    }
    case 'sql':
      return `sql: ${rule.expression}`;
    case 'date-shift':
      return `date-shift by up to ${rule.days} days`;
    case 'json': {
      const paths = Object.entries(rule.paths).map(([path, leaf]) => `${path} ${leaf}`);
      const rest = rule.keepRest === null ? 'the rest goes' : `the rest is kept: ${rule.keepRest}`;
      return `json: ${[...paths, rest].join(', ')}`;
    }
    case 'hstore': {
      const keys = Object.entries(rule.keys).map(([key, leaf]) => `${key} ${leaf}`);
      const rest = rule.keepRest === null ? 'the rest goes' : `the rest is kept: ${rule.keepRest}`;
      return `hstore: ${[...keys, rest].join(', ')}`;
    }
    case 'row': {
      const attributes = Object.entries(rule.attributes).map(([name, own]) => `${name} (${ruleWords(own)})`);
      const rest = rule.keepRest === null ? [] : [`the rest is kept: ${rule.keepRest}`];
      return `row: ${[...attributes, ...rest].join(', ')}`;
    }
    default:
      return rule.rule;
  }
}
