/**
 * What `data: sanitize:` says: how every column of every table becomes fit for previews. Rules are written for names,
 * before anybody has looked at a database; packages/sanitize decides with them, and refuses what they leave open.
 */
export interface SanitizePolicy {
  /** Rules for the tables that a framework brings along; the policy's own come first. Absent: none. */
  readonly presets?: readonly PresetName[] | undefined;
  /** Kinds of columns that are kept wherever no rule speaks of them: `ids: keep`. */
  readonly kept: readonly SafeKind[];
  /** In the order written; a name without a wildcard wins over one with. */
  readonly tables: readonly NamedRule<TableRule>[];
  /** For columns of this name in any table. */
  readonly columns: readonly NamedRule<ColumnRule>[];
  /** What happens to a column, mount or file that nothing decides: it blocks, or it becomes null, starts empty, is left out. */
  readonly default: 'fail' | 'null-unknown';
  /** File mounts by name. What happens to one that none names, `default` says. */
  readonly mounts: readonly NamedRule<MountRule>[];
  /** Services of the type Redis or Valkey, by name: the keys that may be copied. Absent, and where no pattern names a key: nothing. */
  readonly keys?: readonly NamedRule<readonly KeyRule[]>[] | undefined;
  readonly largeObjects: 'fail' | 'drop' | 'keep';
  /** Comments on tables, columns and whatever else may have one: they are searched for values, or go. */
  readonly comments: 'keep' | 'drop';
}

export interface NamedRule<Rule> {
  /** With `*` for any run of characters. */
  readonly pattern: string;
  readonly rule: Rule;
}

/** The whole mount as it is, or nothing of it; else what each file becomes: the first rule that matches counts. */
export type MountRule = 'keep' | 'drop' | readonly FileRule[];

export interface FileRule {
  /**
   * `allow`: as it is. `drop`: left out, and nobody learns its name. `placeholder`: path, permissions and time stay, what is in it does
   * not.
   */
  readonly action: 'allow' | 'drop' | 'placeholder';
  /** From the mount's root: `*` and `?` stay inside a directory, `**` crosses them, a directory means all below it. */
  readonly globs: readonly string[];
  /** Of placeholders: as many bytes as there were; else as few as a valid file of its type has. */
  readonly sameSize: boolean;
}

/** A key is copied when one rule names it, wants its type and time to live, and no queue keeps it. */
export interface KeyRule {
  /** `*` for any run of characters, `?` for one byte; everything else means itself. */
  readonly allow: readonly string[];
  readonly why: string | null;
  /** Empty: any type. */
  readonly types: readonly KeyType[];
  /** `required`: only keys that expire. A number: and within so many seconds. Null: all. */
  readonly ttl: null | 'required' | number;
  /** What detectors may find in their names and values. */
  readonly holds: readonly Detector[];
}

/** Those that can be looked into; what modules add is not. */
export const keyTypes = ['string', 'hash', 'list', 'set', 'zset', 'stream'] as const;
export type KeyType = (typeof keyTypes)[number];

export interface TableRule {
  readonly truncate: boolean;
  /** Why all of it may be kept; null when its columns are decided one by one. */
  readonly keep: string | null;
  /** SQL: only rows for which it is true are kept. */
  readonly where: string | null;
  readonly columns: readonly NamedRule<ColumnRule>[];
}

export type ColumnRule =
  /** As it is, for the reason given. `allow`: what detectors may find in it. */
  | { readonly rule: 'keep'; readonly reason: string; readonly allow: readonly Detector[] }
  | { readonly rule: 'null' }
  | { readonly rule: 'constant'; readonly value: string }
  | { readonly rule: 'sql'; readonly expression: string }
  /** Up to so many days earlier or later, the same for the same value. */
  | { readonly rule: 'date-shift'; readonly days: number }
  /** Path of a leaf (`customer.email`, `items.*.name`) → rule. Other leaves go, with their keys, unless `keepRest` says why not. */
  | {
      readonly rule: 'json';
      readonly paths: Readonly<Record<string, TextRule | 'keep' | 'null'>>;
      readonly keepRest: string | null;
    }
  /** Key → rule of its values; `*` for those not named. Other keys go with their values, unless `keepRest` says why not. */
  | {
      readonly rule: 'hstore';
      readonly keys: Readonly<Record<string, TextRule | 'keep' | 'null'>>;
      readonly keepRest: string | null;
    }
  /** Of a composite: attribute → rule. All have one, unless `keepRest` says why the others stay. */
  | {
      readonly rule: 'row';
      readonly attributes: Readonly<Record<string, ColumnRule>>;
      readonly keepRest: string | null;
    }
  /** Equal values of one domain become equal values, in whatever table they stand. Null: the rule's own domain. */
  | { readonly rule: TextRule | 'permuted-id'; readonly domain: string | null };

/** Their rules are in packages/sanitize/src/presets, a file each. */
export const presetNames = ['rails', 'django', 'laravel', 'symfony', 'wordpress', 'authjs', 'node'] as const;
export type PresetName = (typeof presetNames)[number];

export const textRules = [
  'email',
  'name',
  'first-name',
  'last-name',
  'phone',
  'address',
  'city',
  'postcode',
  'company',
  'ip',
  'iban',
  'card',
  'free-text',
  'token',
  'uuid',
  'hash',
] as const;
export type TextRule = (typeof textRules)[number];

export const safeKinds = ['ids', 'numbers', 'timestamps', 'enums', 'booleans'] as const;
export type SafeKind = (typeof safeKinds)[number];

export const detectors = ['email', 'card', 'iban', 'phone', 'key'] as const;
export type Detector = (typeof detectors)[number];
