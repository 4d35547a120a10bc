import { parseDuration } from '@bough/domain/duration';
import { described, type Located } from './located.ts';
import type { Report } from './report.ts';
import { type Detector, detectors, type KeyRule, type KeyType, keyTypes } from './sanitize-policy.ts';
import { openSection, type Section } from './section.ts';
import { meant } from './suggest.ts';

const EXAMPLE = 'Such as - { allow: "catalog:*", why: "public catalogue", type: hash, ttl: 1d }.';
const RULES_MAX = 200;
const PATTERNS_MAX = 200;
const PATTERN_LENGTH_MAX = 500;

/** The rules for the keys of one service, or of all that a pattern of names means. */
export function readKeyRules(report: Report, node: Located, title: string): readonly KeyRule[] | undefined {
  if (node.kind !== 'list' || node.items.length === 0 || node.items.length > RULES_MAX) {
    const what = node.kind === 'list' ? `${node.items.length} of them` : described(node);
    report.problem(node.place, `${title} must be a list of one to ${RULES_MAX} rules, not ${what}.`, EXAMPLE);
    return undefined;
  }
  const rules = node.items.map((item, index) => readRule(report, item, `${title}: rule ${index + 1}`));
  return rules.some((rule) => rule === undefined) ? undefined : rules.filter((rule) => rule !== undefined);
}

function readRule(report: Report, node: Located, title: string): KeyRule | undefined {
  if (node.kind !== 'map') {
    report.problem(node.place, `${title} must be a map, not ${described(node)}.`, EXAMPLE);
    return undefined;
  }
  const before = report.problems.length;
  const section = openSection(report, node, {
    title,
    acted: ['allow', 'why', 'type', 'ttl', 'holds'],
    fallback: node.place,
  });
  const rule: KeyRule = {
    allow: readPatterns(report, section, title),
    why: readWhy(report, section, title),
    types: readWords<KeyType>(report, section, { key: 'type', known: keyTypes, title }),
    ttl: readTtl(report, section, title),
    holds: readWords<Detector>(report, section, { key: 'holds', known: detectors, title }),
  };
  if (rule.holds.length > 0 && rule.why === null)
    report.problem(
      section.placeOf('holds'),
      `${title} lets personal-looking data through, and does not say why.`,
      'Add why: "addresses of our shops, not of customers".',
    );
  return report.problems.length > before ? undefined : rule;
}

function readPatterns(report: Report, section: Section, title: string): string[] {
  const node = section.get('allow');
  const items = node === undefined ? [] : node.kind === 'list' ? node.items : [node];
  const patterns = items.flatMap((item) => (item.kind === 'scalar' ? [item.source] : []));
  if (patterns.length === 0 || patterns.length !== items.length || patterns.length > PATTERNS_MAX) {
    report.problem(
      section.placeOf('allow'),
      `${title} must say which keys: allow is a pattern, or a list of at most ${PATTERNS_MAX}.`,
      EXAMPLE,
    );
    return [];
  }
  for (const [index, pattern] of patterns.entries()) {
    const wrong = patternProblem(pattern);
    if (wrong === undefined) continue;
    const place = items[index]?.place ?? section.place;
    report.problem(place, `${title}: allow: ${wrong[0]}.`, wrong[1]);
  }
  return patterns;
}

/** What is wrong, and the way out. */
function patternProblem(pattern: string): readonly [string, string] | undefined {
  if (pattern.length > PATTERN_LENGTH_MAX)
    return [`a pattern of ${pattern.length} characters is too long`, `${PATTERN_LENGTH_MAX} are the most.`];
  if (/^[*?]*$/.test(pattern))
    return [`"${pattern}" would let every key through`, 'Write what the names begin with: "catalog:*".'];
  if (pattern.startsWith('!'))
    return [`"${pattern}" takes away`, 'What no pattern names is left out anyway; write only what may stay.'];
  if (/[[\]\\]/.test(pattern))
    return [
      `"${pattern}" has brackets or a backslash`,
      'Patterns know * for any run of characters and ? for one; write a list of patterns for more.',
    ];
  return undefined;
}

function readWhy(report: Report, section: Section, title: string): string | null {
  const node = section.get('why');
  if (node === undefined) return null;
  const reason = node.kind === 'scalar' && typeof node.value === 'string' ? node.value.trim() : '';
  if (reason.length >= 3) return reason;
  report.problem(node.place, `${title}: why needs a reason in words.`, 'Such as why: "public catalogue".');
  return null;
}

function readTtl(report: Report, section: Section, title: string): KeyRule['ttl'] {
  const node = section.get('ttl');
  if (node === undefined) return null;
  const written = node.kind === 'scalar' ? node.source : described(node);
  if (written === 'required') return 'required';
  const seconds = node.kind === 'scalar' ? parseDuration(written) : undefined;
  if (seconds !== undefined && seconds > 0) return seconds;
  report.problem(
    node.place,
    `${title}: ttl cannot be "${written}".`,
    'Write "required" for keys that expire at all, or the longest time they may have left: 30m, 6h, 1d. Without it both kinds are taken.',
  );
  return null;
}

function readWords<Word extends string>(
  report: Report,
  section: Section,
  of: { key: string; known: readonly Word[]; title: string },
): Word[] {
  const node = section.get(of.key);
  const items = node === undefined ? [] : node.kind === 'list' ? node.items : [node];
  return items.flatMap((item): Word[] => {
    const word = item.kind === 'scalar' ? item.source : '';
    const found = of.known.find((candidate) => candidate === word);
    if (found !== undefined) return [found];
    const shown = item.kind === 'scalar' ? `"${word}"` : described(item);
    report.problem(item.place, `${of.title}: ${of.key} cannot be ${shown}.`, meant(word, of.known));
    return [];
  });
}
