import { described, type Located, type LocatedEntry } from './located.ts';
import { readKeyRules } from './read-key-rules.ts';
import { readMountRule } from './read-mount-rule.ts';
import type { Report } from './report.ts';
import {
  type ColumnRule,
  type Detector,
  detectors,
  type NamedRule,
  type PresetName,
  presetNames,
  type SafeKind,
  type SanitizePolicy,
  safeKinds,
  type TableRule,
  type TextRule,
  textRules,
} from './sanitize-policy.ts';
import { mapEntries, openSection, textOf } from './section.ts';
import { meant } from './suggest.ts';

const words = [...textRules, 'permuted-id', 'null'] as const;
const rules = [...words, 'keep', 'constant', 'sql', 'date-shift', 'json', 'hstore', 'row'] as const;
const tableOptions = ['truncate', 'keep', 'where', 'columns'];
const NAMES_MAX = 2_000;

/** Reads the map below `data: sanitize:`. Every problem is reported where it stands; what is returned then is unfit. */
export function readSanitizePolicy(report: Report, node: Located): SanitizePolicy {
  const section = openSection(report, node, {
    title: 'data: sanitize',
    acted: [
      ...safeKinds,
      'presets',
      'tables',
      'columns',
      'default',
      'mounts',
      'keys',
      'large-objects',
      'comments',
    ],
    fallback: node.place,
  });
  const choose = <Word extends string>(key: string, known: readonly Word[], absent: Word): Word =>
    oneOf(report, section.get(key), `data: sanitize: ${key}`, known) ?? absent;
  return {
    ...presetsOf(report, section.get('presets')),
    kept: safeKinds.filter((kind: SafeKind) => {
      if (!section.has(kind)) return false;
      const found = section.get(kind);
      if (found?.kind === 'scalar' && found.value === 'keep') return true;
      report.problem(
        section.placeOf(kind),
        `data: sanitize: ${kind} can only be "keep".`,
        `Write "${kind}: keep", or remove the line and decide these columns one by one.`,
      );
      return false;
    }),
    tables: named(report, section.get('tables'), 'tables', (entry, title) => readTable(report, entry, title)),
    columns: namedColumns(report, section.get('columns'), 'columns'),
    default: choose('default', ['fail', 'null-unknown'], 'fail'),
    mounts: named(report, section.get('mounts'), 'mounts', ({ value }, title) =>
      readMountRule(report, value, title),
    ),
    ...keysOf(report, section.get('keys')),
    largeObjects: choose('large-objects', ['fail', 'drop', 'keep'], 'fail'),
    comments: choose('comments', ['keep', 'drop'], 'keep'),
  };
}

/** Left out where there are none: what a policy does not say is not in its digest. */
function presetsOf(report: Report, node: Located | undefined): Pick<SanitizePolicy, 'presets'> {
  if (node === undefined) return {};
  const items = node.kind === 'list' ? node.items : [node];
  const presets = items.flatMap((item): PresetName[] => {
    const name = oneOf(report, item, 'data: sanitize: presets', presetNames);
    return name === undefined ? [] : [name];
  });
  return presets.length === 0 ? {} : { presets: presetNames.filter((name) => presets.includes(name)) };
}

/** Left out where there are none, as presets are. */
function keysOf(report: Report, node: Located | undefined): Pick<SanitizePolicy, 'keys'> {
  const keys = named(report, node, 'keys', ({ value }, title) => readKeyRules(report, value, title));
  return keys.length === 0 ? {} : { keys };
}

function named<Rule>(
  report: Report,
  node: Located | undefined,
  title: string,
  read: (entry: LocatedEntry, title: string) => Rule | undefined,
): NamedRule<Rule>[] {
  const entries = mapEntries(report, node, `data: sanitize: ${title}`);
  const last = entries[NAMES_MAX];
  if (last !== undefined)
    report.problem(
      last.keyPlace,
      `data: sanitize: ${title} has more than ${NAMES_MAX} names.`,
      'Use wildcards such as "audit_*".',
    );
  return entries.slice(0, NAMES_MAX).flatMap((entry) => {
    const rule = read(entry, `data: sanitize: ${title}: ${entry.key}`);
    return rule === undefined ? [] : [{ pattern: entry.key, rule }];
  });
}

function namedColumns(report: Report, node: Located | undefined, title: string): NamedRule<ColumnRule>[] {
  return named(report, node, title, (entry, at) => readColumn(report, entry, at));
}

/** `truncate`, or a map in which `truncate`, `keep`, `where` and `columns` speak of the table and the rest of columns. */
function readTable(report: Report, entry: LocatedEntry, title: string): TableRule | undefined {
  const node = entry.value;
  const nothing: TableRule = { truncate: false, keep: null, where: null, columns: [] };
  if (node.kind === 'scalar' && node.value === 'truncate') return { ...nothing, truncate: true };
  if (node.kind !== 'map' || node.entries.length === 0) {
    report.problem(
      node.place,
      `${title} must say something of the table's columns.`,
      'Write "truncate", { keep: "why" }, { where: "sql" }, or a line for each column: "email: email".',
    );
    return undefined;
  }
  const option = (name: string) => node.entries.find((candidate) => candidate.key === name);
  const flat = { ...node, entries: node.entries.filter(({ key }) => !tableOptions.includes(key)) };
  const truncate = option('truncate');
  const isTruncated = truncate?.value.kind === 'scalar' && truncate.value.value === true;
  if (truncate !== undefined && !isTruncated)
    report.problem(
      truncate.value.place,
      `${title}: truncate can only be true.`,
      'Remove it to keep the rows. A column of this name is decided below "columns:".',
    );
  const keep = option('keep');
  const where = option('where');
  const table = {
    truncate: isTruncated,
    keep: keep === undefined ? null : reasonOf(report, keep.value, `${title}: keep`),
    where: where === undefined ? null : wordsOf(report, where.value, `${title}: where`),
    columns: [
      ...namedColumns(report, flat, title.replace('data: sanitize: ', '')),
      ...namedColumns(report, option('columns')?.value, `${title.replace('data: sanitize: ', '')}: columns`),
    ],
  };
  if (table.truncate && (table.keep !== null || table.where !== null || table.columns.length > 0))
    report.problem(entry.keyPlace, `${title} is truncated, so nothing else counts.`, 'Leave only one.');
  return table;
}

function readColumn(report: Report, entry: LocatedEntry, title: string): ColumnRule | undefined {
  const node = entry.value;
  if (node.kind === 'scalar') return readWord(report, node, title);
  if (node.kind !== 'map') {
    report.problem(
      node.place,
      `${title} must be a rule, not ${described(node)}.`,
      `One of ${words.join(', ')}, or { keep: "why" }.`,
    );
    return undefined;
  }
  return readRuleMap(report, node, title);
}

/** `notes: null` is YAML's null, and means the same as the word. */
function readWord(
  report: Report,
  node: Extract<Located, { kind: 'scalar' }>,
  title: string,
): ColumnRule | undefined {
  const word = node.value === null && node.source !== '' ? 'null' : node.value;
  if (word === 'null') return { rule: 'null' };
  const known = words.find((candidate) => candidate === word);
  if (known !== undefined && known !== 'null') return { rule: known, domain: null };
  const hints: Readonly<Record<string, string>> = {
    keep: 'Say why: { keep: "product names are public" }.',
    constant: 'Say which: { constant: "x" }.',
    sql: 'Say which: { sql: "left(name, 1)" }.',
    json: 'Say which paths: { json: { "customer.email": email } }.',
    hstore: 'Say which keys: { hstore: { email: email } }.',
    row: 'Say which attributes: { row: { street: address, zip: postcode } }.',
    'date-shift': 'Say how far: { rule: date-shift, days: 30 }.',
  };
  report.problem(
    node.place,
    `${title}: ${word === null ? 'the rule is missing' : `"${String(word)}" is not a rule by itself`}.`,
    hints[String(word)] ?? meant(String(word ?? ''), words),
  );
  return undefined;
}

function readRuleMap(report: Report, node: Located, title: string): ColumnRule | undefined {
  const section = openSection(report, node, {
    title,
    acted: [
      'rule',
      'domain',
      'days',
      'keep',
      'allow',
      'constant',
      'sql',
      'json',
      'hstore',
      'row',
      'keep-rest',
      'hash',
      'null',
    ],
    fallback: node.place,
  });
  const isTrue = (key: string) => {
    const value = section.get(key);
    return value?.kind === 'scalar' && value.value === true;
  };
  const forms: [string, () => ColumnRule | undefined][] = [
    ['keep', () => readKeep(report, section.get('keep'), section.get('allow'), title)],
    ['constant', () => readConstant(report, section.get('constant'), title)],
    [
      'sql',
      () => {
        const expression = wordsOf(report, section.get('sql') ?? node, `${title}: sql`);
        return expression === null ? undefined : { rule: 'sql', expression };
      },
    ],
    [
      'json',
      () => ({
        rule: 'json',
        paths: readPaths(report, section.get('json'), `${title}: json`),
        keepRest: keepRest(),
      }),
    ],
    [
      'hstore',
      () => ({
        rule: 'hstore',
        keys: readKeys(report, section.get('hstore'), `${title}: hstore`),
        keepRest: keepRest(),
      }),
    ],
    [
      'row',
      () => ({
        rule: 'row',
        attributes: readAttributes(report, section.get('row'), `${title}: row`),
        keepRest: keepRest(),
      }),
    ],
    ['hash', () => (isTrue('hash') ? { rule: 'hash', domain: domain() } : undefined)],
    ['null', () => (isTrue('null') ? { rule: 'null' } : undefined)],
    ['rule', () => readNamed(report, section.get('rule'), section.get('days'), domain(), title)],
  ];
  const domain = () => textOf(report, section.get('domain'), `${title}: domain`);
  const keepRest = () => {
    const rest = section.get('keep-rest');
    return rest === undefined ? null : reasonOf(report, rest, `${title}: keep-rest`);
  };
  const said = forms.filter(([key]) => section.has(key));
  const [form] = said;
  if (form !== undefined && said.length === 1) {
    const before = report.problems.length;
    const rule = form[1]();
    if (rule === undefined && report.problems.length === before)
      report.problem(
        section.placeOf(form[0]),
        `${title}: "${form[0]}" can only be true.`,
        'Write true there.',
      );
    return rule;
  }
  report.problem(
    node.place,
    `${title} must name one rule${said.length > 1 ? `, not ${said.map(([key]) => key).join(' and ')}` : ''}.`,
    'Such as { rule: email, domain: customers }, { keep: "why" }, { constant: "x" } or { sql: "expression" }.',
  );
  return undefined;
}

function readNamed(
  report: Report,
  node: Located | undefined,
  days: Located | undefined,
  domain: string | null,
  title: string,
): ColumnRule | undefined {
  const rule = oneOf(report, node, `${title}: rule`, [...words, 'date-shift']);
  if (rule === undefined) return undefined;
  if (rule === 'null') return { rule };
  if (rule !== 'date-shift') return { rule, domain };
  const value = days?.kind === 'scalar' ? days.value : undefined;
  if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= 36_500)
    return { rule, days: value };
  report.problem(
    days?.place ?? node?.place ?? { file: '', line: 1, column: 1 },
    `${title}: date-shift needs "days", a whole number from 1 to 36500.`,
    'Such as { rule: date-shift, days: 30 }.',
  );
  return undefined;
}

function readKeep(
  report: Report,
  node: Located | undefined,
  allow: Located | undefined,
  title: string,
): ColumnRule | undefined {
  const reason = node === undefined ? null : reasonOf(report, node, `${title}: keep`);
  const items = allow === undefined ? [] : allow.kind === 'list' ? allow.items : [allow];
  const allowed = items.flatMap((item): Detector[] => {
    const word = oneOf(report, item, `${title}: allow`, detectors);
    return word === undefined ? [] : [word];
  });
  return reason === null ? undefined : { rule: 'keep', reason, allow: allowed };
}

function readConstant(report: Report, node: Located | undefined, title: string): ColumnRule | undefined {
  if (node?.kind === 'scalar' && node.value !== null)
    return { rule: 'constant', value: typeof node.value === 'string' ? node.value : node.source };
  if (node !== undefined)
    report.problem(node.place, `${title}: constant must be one value.`, 'Such as { constant: "x" }.');
  return undefined;
}

function readPaths(
  report: Report,
  node: Located | undefined,
  title: string,
): Readonly<Record<string, TextRule | 'keep' | 'null'>> {
  const paths = readLeaves(report, node, title);
  return Object.fromEntries(paths.map(({ pattern, rule }) => [pattern.replace(/^\$\./, ''), rule]));
}

type Leaf = TextRule | 'keep' | 'null';

function readLeaves(report: Report, node: Located | undefined, title: string): NamedRule<Leaf>[] {
  return named<Leaf>(report, node, title.replace('data: sanitize: ', ''), ({ value }, at) => {
    if (value.kind === 'scalar' && value.value === null && value.source !== '') return 'null';
    return oneOf(report, value, at, [...textRules, 'keep', 'null']);
  });
}

/** `*` lets through keys that nobody has named, so that what becomes of their values must be said with a reason, or be a rule. */
function readKeys(report: Report, node: Located | undefined, title: string): Readonly<Record<string, Leaf>> {
  const keys = readLeaves(report, node, title);
  if (node !== undefined && keys.some(({ pattern, rule }) => pattern === '*' && rule === 'keep'))
    report.problem(
      node.place,
      `${title}: "*" cannot be keep.`,
      'Say why the other keys stay: { hstore: { email: email }, keep-rest: "why" }.',
    );
  return Object.fromEntries(keys.map(({ pattern, rule }) => [pattern, rule]));
}

function readAttributes(
  report: Report,
  node: Located | undefined,
  title: string,
): Readonly<Record<string, ColumnRule>> {
  const attributes = named<ColumnRule>(report, node, title.replace('data: sanitize: ', ''), (entry, at) => {
    const rule = readColumn(report, entry, at);
    if (rule?.rule !== 'sql' && rule?.rule !== 'permuted-id') return rule;
    report.problem(
      entry.value.place,
      `${at}: ${rule.rule} cannot be the rule of an attribute.`,
      'Give the whole column an SQL expression: { sql: "expression" }.',
    );
    return undefined;
  });
  return Object.fromEntries(attributes.map(({ pattern, rule }) => [pattern, rule]));
}

function oneOf<Word extends string>(
  report: Report,
  node: Located | undefined,
  title: string,
  known: readonly Word[],
): Word | undefined {
  if (node === undefined) return undefined;
  const word = node.kind === 'scalar' ? node.value : undefined;
  const found = known.find((candidate) => candidate === word);
  if (found !== undefined) return found;
  const shown = node.kind === 'scalar' ? `"${node.source}"` : described(node);
  const isRule = rules.some((rule) => rule === word);
  report.problem(
    node.place,
    `${title} cannot be ${shown}${isRule ? ' here' : ''}.`,
    meant(String(word ?? ''), known),
  );
  return undefined;
}

function reasonOf(report: Report, node: Located, title: string): string | null {
  const reason = node.kind === 'scalar' && typeof node.value === 'string' ? node.value.trim() : '';
  if (reason.length >= 3) return reason;
  report.problem(
    node.place,
    `${title} needs a reason in words.`,
    'Such as { keep: "product names are public" }.',
  );
  return null;
}

function wordsOf(report: Report, node: Located, title: string): string | null {
  const text = node.kind === 'scalar' && typeof node.value === 'string' ? node.value.trim() : '';
  if (text !== '') return text;
  report.problem(
    node.place,
    `${title} must be an SQL expression.`,
    `Put it in quotes: "created_at > '2026-01-01'".`,
  );
  return null;
}
