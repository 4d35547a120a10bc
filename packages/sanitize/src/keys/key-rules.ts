import type { KeyRule, NamedRule, SanitizePolicy } from '@bough/manifest/sanitize-policy';
import { matchesName } from '../names.ts';
import { matchesKey } from './key-glob.ts';

/** The rules for the keys of a service. Undefined: none speaks of it, and it starts empty. */
export function keyRulesFor(
  policy: Pick<SanitizePolicy, 'keys'>,
  service: string,
): readonly KeyRule[] | undefined {
  return policy.keys?.find(({ pattern }) => isMeant({ pattern }, service))?.rule;
}

export function isMeant({ pattern }: Pick<NamedRule<unknown>, 'pattern'>, service: string): boolean {
  return matchesName(pattern, '', { schema: 'public', name: service });
}

/** What is known of a key beside its name. */
export interface KeyFacts {
  readonly type: string;
  /** Milliseconds left; negative: it does not expire. */
  readonly ttlMs: number;
}

/** A pattern of a rule, by which a key came in. */
export interface Allowance {
  readonly index: number;
  readonly allow: string;
  readonly rule: KeyRule;
}

export interface KeyAllowances {
  readonly all: readonly Allowance[];
  /** Whether any pattern means the name, whatever else its rule wants. */
  names(name: Buffer): boolean;
  /** The first pattern that lets the key in. */
  find(name: Buffer, facts: KeyFacts): Allowance | undefined;
}

export function compileKeyRules(rules: readonly KeyRule[]): KeyAllowances {
  const all = rules
    .flatMap((rule) => rule.allow.map((allow) => ({ allow, rule })))
    .map((one, index): Allowance => ({ ...one, index }));
  const compiled = all.map((allowance) => ({
    allowance,
    pattern: Buffer.from(allowance.allow).toString('latin1'),
  }));
  return {
    all,
    names: (name) => {
      const text = name.toString('latin1');
      return compiled.some(({ pattern }) => matchesKey(pattern, text));
    },
    find: (name, facts) => {
      const text = name.toString('latin1');
      return compiled.find(
        ({ pattern, allowance }) => isWanted(allowance.rule, facts) && matchesKey(pattern, text),
      )?.allowance;
    },
  };
}

function isWanted({ types, ttl }: KeyRule, { type, ttlMs }: KeyFacts): boolean {
  if (types.length > 0 && !types.some((wanted) => wanted === type)) return false;
  if (ttl === null) return true;
  return ttlMs >= 0 && (ttl === 'required' || ttlMs <= ttl * 1000);
}

/** As it is written below `keys:`, with what else it is to hold. */
export function keyRuleText({ allow, why, types, ttl, holds }: KeyRule): string {
  const list = (words: readonly string[]) =>
    words.length === 1 ? JSON.stringify(words[0]) : JSON.stringify(words);
  return `{ ${[
    `allow: ${list(allow)}`,
    ...(types.length === 0 ? [] : [`type: ${list(types)}`]),
    ...(ttl === null ? [] : [`ttl: ${ttl === 'required' ? ttl : `${ttl}s`}`]),
    ...(holds.length === 0 ? [] : [`holds: ${list(holds)}`]),
    ...(why === null ? [] : [`why: ${JSON.stringify(why)}`]),
  ].join(', ')} }`;
}
