import type { ColumnRule } from '@bough/manifest/sanitize-policy';

/**
 * Rules for the tables that a framework brings along. A name alone would be a guess (`jobs` may be a job board), so a rule
 * speaks of a table only when that has all columns of `has`. A rule that speaks of nothing is no mistake.
 */
export interface Preset {
  readonly tables: readonly PresetTable[];
}

export interface PresetTable {
  /** As in a policy: `sessions`, `*_users`. `*` alone is for a table of whatever name. */
  readonly name: string;
  readonly has: readonly string[];
  readonly rule: 'truncate' | { readonly keep: string } | PresetColumns;
}

export interface PresetColumns {
  /** SQL: only rows for which it is true are kept. */
  readonly where?: string;
  readonly columns: Readonly<Record<string, ColumnRule>>;
}

type Word = Exclude<
  ColumnRule['rule'],
  'keep' | 'null' | 'constant' | 'sql' | 'json' | 'hstore' | 'row' | 'date-shift'
>;

export const mask = (rule: Word): ColumnRule => ({ rule, domain: null });
export const gone: ColumnRule = { rule: 'null' };
export const keep = (reason: string): ColumnRule => ({ rule: 'keep', reason, allow: [] });
export const constant = (value: string): ColumnRule => ({ rule: 'constant', value });

/** Has the shape of a bcrypt hash and is that of no password. */
export const noPassword = constant(`$2y$10$${'.'.repeat(53)}`);
export const internals = (of: string) => ({ keep: `${of} keeps it for itself; nothing of people` });
