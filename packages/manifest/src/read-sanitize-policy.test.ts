import { describe, expect, test } from 'vitest';
import { parseYaml } from './parse-yaml.ts';
import { readSanitizePolicy } from './read-sanitize-policy.ts';
import { createReport } from './report.ts';

function read(text: string) {
  const report = createReport();
  const node = parseYaml(report, 'p.yaml', text);
  if (typeof node === 'string') throw new Error(node);
  const policy = readSanitizePolicy(report, node);
  return { policy, problems: report.problems };
}

test('reads every form of a rule', () => {
  const { policy, problems } = read(`
ids: keep
booleans: keep
tables:
  customers:
    email: email
    notes: null
    spare: "null"
    plan: { keep: "plan names are public", allow: email }
    born: { rule: date-shift, days: 30 }
    code: { hash: true }
    nick: { rule: token, domain: nicknames }
    kind: { constant: 7 }
    upper: { sql: "upper(code)" }
    profile: { json: { "$.contact.email": email, "tags.*": keep }, keep-rest: "settings of the page" }
    extra: { hstore: { email: email, colour: keep, "*": free-text } }
    home: { row: { street: address, since: { rule: date-shift, days: 9 }, place: { row: { zip: postcode }, keep-rest: "no names" } } }
  orders: { where: "created_at > now() - interval '90 days'", columns: { keep: free-text } }
  "audit_*": truncate
  logs: { truncate: true }
  countries: { keep: "public reference data" }
columns:
  "*_email": email
default: null-unknown
mounts: { uploads: keep, avatars: drop }
large-objects: drop
comments: drop
`);
  expect(problems).toEqual([]);
  expect(policy.kept).toEqual(['ids', 'booleans']);
  const columns = Object.fromEntries(
    policy.tables[0]?.rule.columns.map(({ pattern, rule }) => [pattern, rule]) ?? [],
  );
  expect(columns).toEqual({
    email: { rule: 'email', domain: null },
    notes: { rule: 'null' },
    spare: { rule: 'null' },
    plan: { rule: 'keep', reason: 'plan names are public', allow: ['email'] },
    born: { rule: 'date-shift', days: 30 },
    code: { rule: 'hash', domain: null },
    nick: { rule: 'token', domain: 'nicknames' },
    kind: { rule: 'constant', value: '7' },
    upper: { rule: 'sql', expression: 'upper(code)' },
    profile: {
      rule: 'json',
      paths: { 'contact.email': 'email', 'tags.*': 'keep' },
      keepRest: 'settings of the page',
    },
    extra: { rule: 'hstore', keys: { email: 'email', colour: 'keep', '*': 'free-text' }, keepRest: null },
    home: {
      rule: 'row',
      attributes: {
        street: { rule: 'address', domain: null },
        since: { rule: 'date-shift', days: 9 },
        place: { rule: 'row', attributes: { zip: { rule: 'postcode', domain: null } }, keepRest: 'no names' },
      },
      keepRest: null,
    },
  });
  expect(policy.tables[1]?.rule).toEqual({
    truncate: false,
    keep: null,
    where: "created_at > now() - interval '90 days'",
    columns: [{ pattern: 'keep', rule: { rule: 'free-text', domain: null } }],
  });
  expect(policy.tables[2]).toMatchObject({ pattern: 'audit_*', rule: { truncate: true } });
  expect(policy.tables[3]?.rule.truncate).toBe(true);
  expect(policy.tables[4]?.rule.keep).toBe('public reference data');
  expect(policy.default).toBe('null-unknown');
  expect(policy).toMatchObject({ largeObjects: 'drop', comments: 'drop' });
  expect(policy.mounts).toEqual([
    { pattern: 'uploads', rule: 'keep' },
    { pattern: 'avatars', rule: 'drop' },
  ]);
});

describe('problems name their place and the way out', () => {
  const cases: [string, string, string, RegExp][] = [
    [
      'an unknown word',
      'tables:\n  a:\n    b: emial\n',
      '3:8 data: sanitize: tables: a: b: "emial" is not',
      /"email"/,
    ],
    [
      'keep without a reason',
      'tables:\n  a:\n    b: keep\n',
      '3:8 data: sanitize: tables: a: b: "keep"',
      /Say why/,
    ],
    [
      'an empty reason',
      'tables:\n  a: { keep: "" }\n',
      '2:14 data: sanitize: tables: a: keep needs',
      /keep:/,
    ],
    [
      'a missing rule',
      'tables:\n  a:\n    b:\n',
      '3:7 data: sanitize: tables: a: b: the rule is missing',
      /Known/,
    ],
    [
      'two rules',
      'tables:\n  a:\n    b: { sql: "1", hash: true }\n',
      '3:8 data: sanitize: tables: a: b must name one',
      /Such as/,
    ],
    [
      'keys that nobody has named, without a reason',
      'tables:\n  a:\n    b: { hstore: { "*": keep } }\n',
      '3:18 data: sanitize: tables: a: b: hstore: "*" cannot be keep',
      /keep-rest/,
    ],
    [
      'an attribute without a reason',
      'tables:\n  a:\n    b: { row: { street: keep } }\n',
      '3:25 data: sanitize: tables: a: b: row: street: "keep"',
      /Say why/,
    ],
    [
      'SQL for an attribute',
      'tables:\n  a:\n    b: { row: { street: { sql: "1" } } }\n',
      '3:25 data: sanitize: tables: a: b: row: street: sql cannot be the rule of an attribute',
      /whole column/,
    ],
    [
      'days missing',
      'tables:\n  a:\n    b: { rule: date-shift }\n',
      '3:16 data: sanitize: tables: a: b: date-shift needs',
      /days: 30/,
    ],
    ['a table that says nothing', 'tables:\n  a: {}\n', '2:6 data: sanitize: tables: a must say', /truncate/],
    [
      'truncate and more',
      'tables:\n  a: { truncate: true, b: email }\n',
      '2:3 data: sanitize: tables: a is truncated',
      /only one/,
    ],
    ['an unknown key', 'table: {}\n', '1:1 data: sanitize: unknown key "table"', /"tables"/],
    ['a safe kind that masks', 'ids: hash\n', '1:1 data: sanitize: ids can only be "keep"', /remove/],
    [
      'a mount masked',
      'mounts: { uploads: email }\n',
      '1:20 data: sanitize: mounts: uploads cannot be "email"',
      /keep/,
    ],
    [
      'a rule for files that says nothing',
      'mounts:\n  uploads: [{ size: same }]\n',
      '2:13 data: sanitize: mounts: uploads: rule 1 must say',
      /allow/,
    ],
    [
      'a glob that begins at the disk',
      'mounts:\n  uploads: [{ allow: "/etc" }]\n',
      '2:15 data: sanitize: mounts: uploads: rule 1: allow: "/etc" must begin at the mount’s root',
      /public/,
    ],
    [
      'a glob that takes away',
      'mounts:\n  uploads: [{ drop: ["a", "!b"] }]\n',
      '2:15 data: sanitize: mounts: uploads: rule 1: drop: "!b" takes away',
      /public/,
    ],
    [
      'a size of what is left out',
      'mounts:\n  uploads: [{ drop: "a", size: same }]\n',
      '2:26 data: sanitize: mounts: uploads: rule 1: only placeholders',
      /tiny/,
    ],
    [
      'keys without a list',
      'keys: { cache: "catalog:*" }\n',
      '1:16 data: sanitize: keys: cache must be a list',
      /catalog/,
    ],
    [
      'a rule for keys that names none',
      'keys:\n  cache: [{ why: "public" }]\n',
      '2:11 data: sanitize: keys: cache: rule 1 must say which keys',
      /catalog/,
    ],
    [
      'a pattern for every key',
      'keys:\n  cache: [{ allow: ["a:*", "*"] }]\n',
      '2:28 data: sanitize: keys: cache: rule 1: allow: "*" would let every key through',
      /begin with/,
    ],
    [
      'a pattern as Redis has them',
      'keys:\n  cache: [{ allow: "h[ae]llo:*" }]\n',
      '2:20 data: sanitize: keys: cache: rule 1: allow: "h[ae]llo:*" has brackets',
      /list of patterns/,
    ],
    [
      'a type of key unknown',
      'keys:\n  cache: [{ allow: "a:*", type: hsh }]\n',
      '2:33 data: sanitize: keys: cache: rule 1: type cannot be "hsh"',
      /"hash"/,
    ],
    [
      'a time to live that is none',
      'keys:\n  cache: [{ allow: "a:*", ttl: always }]\n',
      '2:32 data: sanitize: keys: cache: rule 1: ttl cannot be "always"',
      /required/,
    ],
    [
      'personal data let through without a word',
      'keys:\n  cache: [{ allow: "a:*", holds: [email] }]\n',
      '2:27 data: sanitize: keys: cache: rule 1 lets personal-looking data through',
      /why/,
    ],
    [
      'a detector unknown',
      'tables:\n  a:\n    b: { keep: "why not", allow: mail }\n',
      '3:34 data: sanitize: tables: a: b: allow cannot',
      /email/,
    ],
    [
      'a list for a rule',
      'tables:\n  a:\n    b: [email]\n',
      '3:8 data: sanitize: tables: a: b must be a rule',
      /keep/,
    ],
  ];
  test.each(cases)('%s', (_what, text, place, hint) => {
    const { problems } = read(text);
    const [problem] = problems;
    expect(problems).toHaveLength(1);
    expect(`${problem?.line}:${problem?.column} ${problem?.message}`).toContain(place);
    expect(problem?.hint).toMatch(hint);
  });
});

test('files of mounts: a word for all of them, or rules in order', () => {
  const { policy, problems } = read(`mounts:
  avatars: placeholder
  logos: keep
  uploads:
    - allow: "public/**"
    - placeholder: ["**/*.jpg", "**/*.pdf"]
      size: same
    - drop: "**"
`);
  expect(problems).toEqual([]);
  expect(policy.mounts).toEqual([
    { pattern: 'avatars', rule: [{ action: 'placeholder', globs: ['**'], sameSize: false }] },
    { pattern: 'logos', rule: 'keep' },
    {
      pattern: 'uploads',
      rule: [
        { action: 'allow', globs: ['public/**'], sameSize: false },
        { action: 'placeholder', globs: ['**/*.jpg', '**/*.pdf'], sameSize: true },
        { action: 'drop', globs: ['**'], sameSize: false },
      ],
    },
  ]);
});

test('keys of a service: patterns with what may be said of them; where there are none, the policy does not say so', () => {
  const { policy, problems } = read(`keys:
  cache:
    - { allow: "catalog:*", why: "public catalogue", ttl: 1d }
    - allow: [flags, "texts:??"]
      type: [hash, string]
      ttl: required
  "shop-*": [{ allow: "shops:*", holds: email, why: "our own shops" }]
`);
  expect(problems).toEqual([]);
  expect(policy.keys).toEqual([
    {
      pattern: 'cache',
      rule: [
        { allow: ['catalog:*'], why: 'public catalogue', types: [], ttl: 86_400, holds: [] },
        { allow: ['flags', 'texts:??'], why: null, types: ['hash', 'string'], ttl: 'required', holds: [] },
      ],
    },
    {
      pattern: 'shop-*',
      rule: [{ allow: ['shops:*'], why: 'our own shops', types: [], ttl: null, holds: ['email'] }],
    },
  ]);
  expect(read('ids: keep').policy).not.toHaveProperty('keys');
});

test('presets are named, each once and in one order; another name is a mistake with what was meant', () => {
  const [one, other] = ['[rails, node]', '[node, rails, rails]'].map((list) => read(`presets: ${list}`));
  expect([one?.problems, one?.policy.presets]).toEqual([[], ['rails', 'node']]);
  expect(other?.policy).toEqual(one?.policy);
  expect(read('presets: django').policy.presets).toEqual(['django']);
  expect(read('ids: keep').policy).not.toHaveProperty('presets');
  const { problems } = read('presets: [rials]');
  expect(problems).toMatchObject([
    { message: expect.stringContaining('rials'), hint: expect.stringContaining('rails') },
  ]);
});
