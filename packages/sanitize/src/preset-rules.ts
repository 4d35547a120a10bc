import {
  type ColumnRule,
  type PresetName,
  presetNames,
  type SanitizePolicy,
} from '@bough/manifest/sanitize-policy';
import type { Column, Table } from './catalogue.ts';
import { matchesName } from './names.ts';
import type { PresetTable } from './presets/preset.ts';
import { presets } from './presets/presets.ts';

/** What the presets of a policy say of one table, the first that speaks of it first. */
export interface PresetRules {
  /** Of the whole table: emptied, or kept for the reason given. */
  readonly whole: { readonly preset: PresetName; readonly keep: string | null } | null;
  readonly where: string | null;
  columnRule(column: Column): { readonly preset: PresetName; readonly rule: ColumnRule } | undefined;
}

/** A preset that the policy does not use and that knows this table by its very name. */
export function presetForTable(
  database: string,
  table: Table,
  policy: SanitizePolicy,
): PresetName | undefined {
  const speaks = speaksOf(database, table);
  return presetNames.find(
    (preset) =>
      !policy.presets?.includes(preset) &&
      presets[preset].tables.some((rule) => !rule.name.includes('*') && speaks(rule)),
  );
}

function speaksOf(database: string, table: Table): (rule: PresetTable) => boolean {
  const names = new Set(table.columns.map(({ name }) => name));
  return ({ name, has }) => matchesName(name, database, table) && has.every((column) => names.has(column));
}

/** Pure. Only tables that have the columns by which they are known. */
export function presetRulesFor(database: string, table: Table, policy: SanitizePolicy): PresetRules {
  const speaks = speaksOf(database, table);
  const found = (policy.presets ?? []).flatMap((preset) =>
    presets[preset].tables.filter(speaks).map(({ rule }) => ({ preset, rule })),
  );
  const whole = found.find(({ rule }) => rule === 'truncate' || 'keep' in rule);
  const byColumn = found.flatMap(({ preset, rule }) =>
    rule === 'truncate' || 'keep' in rule ? [] : [{ preset, ...rule }],
  );
  return {
    whole:
      whole === undefined
        ? null
        : {
            preset: whole.preset,
            keep: whole.rule !== 'truncate' && 'keep' in whole.rule ? whole.rule.keep : null,
          },
    where: byColumn.find(({ where }) => where !== undefined)?.where ?? null,
    columnRule(column) {
      const own = byColumn.find(({ columns }) => Object.hasOwn(columns, column.name));
      const rule = own?.columns[column.name];
      return own === undefined || rule === undefined
        ? undefined
        : { preset: own.preset, rule: fitting(rule, column) };
    },
  };
}

/** Some versions of a framework declare a column without null that others have with it. */
function fitting(rule: ColumnRule, column: Column): ColumnRule {
  const mustBe = rule.rule === 'null' && column.notNull && column.typeClass === 'text' && !column.isArray;
  return mustBe && !column.uniqueAlone ? { rule: 'constant', value: '' } : rule;
}

/** What of the policy a golden depends on: the rules of its presets, not their names alone. */
export function withPresetRules(policy: SanitizePolicy): object {
  if (policy.presets === undefined) return policy;
  return { ...policy, presets: policy.presets.map((name) => presets[name]) };
}
