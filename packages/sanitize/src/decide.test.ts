import type { SanitizePolicy, TableRule } from '@bough/manifest/sanitize-policy';
import { describe, expect, test } from 'vitest';
import type { Catalogue, Column, ForeignKey, Table } from './catalogue.ts';
import { decide, unusedRules } from './decide.ts';
import { pasteInline } from './finding.ts';
import { matchesName } from './names.ts';

function column(name: string, over: Partial<Column> = {}): Column {
  return {
    name,
    type: 'text',
    typeClass: 'text',
    baseType: 'text',
    isArray: false,
    maxLength: null,
    collation: null,
    notNull: false,
    generated: false,
    inPrimaryKey: false,
    unique: false,
    uniqueAlone: false,
    inPartitionKey: false,
    dependents: [],
    ...over,
  };
}

const key = (name: string): Column =>
  column(name, {
    type: 'integer',
    typeClass: 'number',
    baseType: 'int4',
    inPrimaryKey: true,
    notNull: true,
    unique: true,
    uniqueAlone: true,
  });

function table(name: string, columns: Column[], schema = 'public'): Table {
  return { schema, name, kind: 'table', leaves: [{ schema, name }], columns, uniques: [] };
}

function catalogue(tables: Table[], foreignKeys: ForeignKey[] = []): Catalogue {
  return { database: 'main', tables, foreignKeys, materializedViews: [], largeObjects: 0 };
}

const nothing: TableRule = { truncate: false, keep: null, where: null, columns: [] };
function policy(
  tables: Readonly<Record<string, Partial<TableRule>>>,
  over: Partial<SanitizePolicy> = {},
): SanitizePolicy {
  return {
    kept: ['ids', 'numbers', 'timestamps', 'enums', 'booleans'],
    tables: Object.entries(tables).map(([pattern, rule]) => ({ pattern, rule: { ...nothing, ...rule } })),
    columns: [],
    default: 'fail',
    mounts: [],
    largeObjects: 'fail',
    comments: 'keep',
    ...over,
  };
}

const named = (pattern: string, rule: 'email' | 'name' | 'permuted-id' | 'card' | 'token') => ({
  pattern,
  rule: { rule, domain: null },
});

function findings(of: Catalogue, given: SanitizePolicy) {
  const decision = decide(of, given);
  return decision.kind === 'findings' ? decision.findings : [];
}

function rules(of: Catalogue, given: SanitizePolicy): Record<string, string> {
  const decision = decide(of, given);
  if (decision.kind === 'findings') throw new Error(JSON.stringify(decision.findings));
  return Object.fromEntries(
    decision.plan.tables.flatMap(({ display, columns }) =>
      columns.map(({ column: { name }, rule }) => [`${display}.${name}`, rule.rule]),
    ),
  );
}

test('nothing is kept because it looks harmless', () => {
  const of = catalogue([
    table('t', [key('id'), column('flag', { type: 'boolean', typeClass: 'boolean', baseType: 'bool' })]),
  ]);
  expect(findings(of, policy({}, { kept: [] })).map(({ where }) => where)).toEqual(['t.id', 't.flag']);
  expect(rules(of, policy({}))).toEqual({ 't.id': 'keep', 't.flag': 'keep' });
});

test('a number named like a phone number is not kept with the other numbers', () => {
  const number = { type: 'bigint', typeClass: 'number', baseType: 'int8' } as const;
  const of = catalogue([table('t', [column('phone', number), column('stock', number)])]);
  expect(findings(of, policy({}))).toMatchObject([
    { where: 't.phone', code: 'undecided', paste: 'tables:\n  t:\n    phone: "null"' },
  ]);
});

test('an undecided column comes with its rule to paste', () => {
  const of = catalogue([table('order', [column('Contact Email'), column('no')], 'sales')]);
  const [mail, other] = findings(of, policy({}));
  expect(pasteInline(mail?.paste ?? '')).toBe('tables: { sales.order: { "Contact Email": email } }');
  expect(pasteInline(other?.paste ?? '')).toBe('tables: { sales.order: { "no": free-text } }');
});

test('null-unknown makes null what may be null, and still blocks on the rest', () => {
  const of = catalogue([table('t', [column('a'), column('b', { notNull: true })])]);
  expect(findings(of, policy({}, { default: 'null-unknown' })).map(({ where }) => where)).toEqual(['t.b']);
});

test('the exact name wins over the wildcard, a table over columns everywhere', () => {
  const of = catalogue([
    table('audit_users', [column('email')]),
    table('audit_logins', [column('email')]),
    table('x', [column('email')]),
  ]);
  const given = policy(
    { 'audit_*': { truncate: true }, audit_users: { columns: [named('email', 'token')] } },
    { columns: [named('*mail', 'email')] },
  );
  const decision = decide(of, given);
  expect(decision.kind === 'plan' && decision.plan.tables.map(({ truncate }) => truncate)).toEqual([
    false,
    true,
    false,
  ]);
  expect(rules(of, given)).toEqual({ 'audit_users.email': 'token', 'x.email': 'email' });
});

test('rules that match nothing are named, also columns of tables that are there', () => {
  const of = catalogue([table('t', [column('email')])]);
  const given = policy(
    { t: { columns: [named('email', 'email'), named('emial', 'email')] }, gone: { truncate: true } },
    { columns: [named('x_*', 'email')] },
  );
  const { used } = decide(of, given);
  expect(unusedRules(given, used).map(({ where }) => where)).toEqual([
    'tables: t: emial',
    'tables: gone',
    'columns: x_*',
  ]);
});

describe('references', () => {
  const reference: ForeignKey = {
    schema: 'public',
    table: 'orders',
    name: 'fk',
    columns: ['user'],
    target: { schema: 'public', table: 'users', columns: ['id'] },
    definition: 'foreign key',
    setsNull: false,
  };
  const of = catalogue(
    [
      table('orders', [column('user', { type: 'integer', typeClass: 'number', baseType: 'int4' })]),
      table('users', [key('id')]),
    ],
    [reference],
  );

  test('are masked as what they refer to, in one domain', () => {
    const decision = decide(of, policy({ users: { columns: [named('id', 'permuted-id')] } }));
    const plans = decision.kind === 'plan' ? decision.plan.tables.flatMap(({ columns }) => columns) : [];
    expect(plans.map(({ rule, domain }) => [rule.rule, domain])).toEqual([
      ['permuted-id', 'public.orders.user'],
      ['permuted-id', 'public.orders.user'],
    ]);
  });

  test('whose two sides differ block', () => {
    const given = policy({ orders: { columns: [named('user', 'permuted-id')] } });
    expect(findings(of, given)).toMatchObject([{ code: 'foreign-key', where: 'orders.user' }]);
  });
});

describe('rules that a column cannot take', () => {
  const cases: [string, Column, Parameters<typeof named>[1], string][] = [
    [
      'an e-mail address in 20 characters',
      column('c', { type: 'character varying(20)', baseType: 'varchar', maxLength: 20 }),
      'email',
      'too-short',
    ],
    ['a unique name in 25', column('c', { maxLength: 25, unique: true }), 'name', 'too-short'],
    ['a unique card', column('c', { unique: true }), 'card', 'not-unique'],
    ['text as a number', column('c'), 'permuted-id', 'not-maskable'],
    [
      'a composite by name',
      column('c', { type: 'address', typeClass: 'composite', baseType: 'address' }),
      'token',
      'not-maskable',
    ],
    [
      'a number by name',
      column('c', { type: 'integer', typeClass: 'number', baseType: 'int4' }),
      'name',
      'not-maskable',
    ],
    [
      'a permuted key under a view',
      { ...key('c'), dependents: ['rule _RETURN on view v'] },
      'permuted-id',
      'not-maskable',
    ],
  ];
  test.each(cases)('%s', (_what, of, rule, code) => {
    expect(
      findings(catalogue([table('t', [of])]), policy({ t: { columns: [named('c', rule)] } })),
    ).toMatchObject([{ code, where: 't.c' }]);
  });
});

test('names match with their schema and database, and * stays within one part', () => {
  expect(matchesName('events', 'main', { schema: 'public', name: 'events' })).toBe(true);
  expect(matchesName('events', 'main', { schema: 'audit', name: 'events' })).toBe(false);
  expect(matchesName('audit.*', 'main', { schema: 'audit', name: 'events' })).toBe(true);
  expect(matchesName('*', 'main', { schema: 'audit', name: 'events' })).toBe(false);
  expect(matchesName('reports/*', 'reports', { schema: 'public', name: 'events' })).toBe(true);
  expect(matchesName('a.b', 'main', { schema: 'public', name: 'axb' })).toBe(false);
});

describe('presets', () => {
  const jobs = table(
    'jobs',
    ['queue', 'payload', 'attempts', 'available_at'].map((name) => column(name)),
  );
  const users = table('users', [
    ...['name', 'email', 'password', 'remember_token'].map((name) => column(name)),
    column('plan'),
  ]);

  test('decide the tables that they know by their columns, and leave the rest undecided', () => {
    const board = table('jobs', [column('title'), column('queue')]);
    const given = policy({}, { presets: ['laravel'] });
    const decision = decide(catalogue([jobs, { ...users, columns: users.columns.slice(0, 4) }]), given);
    expect(decision.kind === 'plan' && decision.plan.tables).toMatchObject([
      { truncate: true, preset: 'laravel' },
      { truncate: false, columns: [{ rule: { rule: 'name' }, preset: 'laravel' }, {}, {}, {}] },
    ]);
    expect(findings(catalogue([board, users]), given).map(({ where }) => where)).toEqual([
      'jobs.title',
      'jobs.queue',
      'users.plan',
    ]);
    const without = findings(catalogue([jobs]), policy({}));
    expect(without).toHaveLength(4);
    expect(without[0]?.message).toContain('`presets: [laravel]`');
    expect(findings(catalogue([board]), policy({}))[0]?.message).not.toContain('presets');
  });

  test('own rules win: of the table, of a column, and of columns anywhere', () => {
    const of = catalogue([jobs, users]);
    const keptJobs = { keep: 'offers of work', columns: [] };
    const given = policy(
      { jobs: keptJobs, users: { columns: [named('name', 'token')] } },
      {
        presets: ['laravel'],
        columns: [{ pattern: 'pla*', rule: { rule: 'null' } }, named('*mail', 'token')],
      },
    );
    expect(rules(of, given)).toMatchObject({
      ...{ 'jobs.payload': 'keep', 'users.name': 'token', 'users.email': 'token', 'users.plan': 'null' },
      ...{ 'users.password': 'constant', 'users.remember_token': 'null' },
    });
    expect(unusedRules(given, decide(of, given).used)).toEqual([]);
  });

  test('a rule that does not fit says of which preset it is; a column that may not be null is emptied', () => {
    const short = {
      ...users,
      columns: users.columns.map((one) => (one.name === 'email' ? { ...one, maxLength: 10 } : one)),
    };
    const given = policy({ users: { columns: [named('plan', 'token')] } }, { presets: ['laravel'] });
    expect(findings(catalogue([short]), given)).toMatchObject([
      { where: 'users.email', message: expect.stringContaining('of the preset "laravel"') },
    ]);
    const strict = { ...users, columns: users.columns.map((one) => ({ ...one, notNull: true })) };
    expect(rules(catalogue([strict]), given)).toMatchObject({ 'users.remember_token': 'constant' });
  });

  test('WordPress is known by its columns, whatever its prefix', () => {
    const tables = [
      [
        'shop_users',
        'ID user_login user_pass user_nicename user_email user_url user_activation_key display_name',
      ],
      ['shop_usermeta', 'umeta_id meta_key meta_value'],
      ['shop_options', 'option_id option_name option_value autoload'],
      ['shop_woocommerce_sessions', 'session_id session_key session_value'],
    ].map(([name = '', columns = '']) =>
      table(
        name,
        columns.split(' ').map((one) => (/id$/i.test(one) ? key(one) : column(one))),
      ),
    );
    const decision = decide(catalogue(tables), policy({}, { presets: ['wordpress'] }));
    expect(decision.kind === 'plan' && decision.plan.tables).toMatchObject([
      {
        where: null,
        columns: expect.arrayContaining([expect.objectContaining({ rule: { rule: 'email', domain: null } })]),
      },
      { where: expect.stringContaining('%capabilities') },
      { where: expect.stringContaining("'siteurl'") },
      { truncate: true },
    ]);
  });
});

test('an attribute that a rule leaves out, or that is none, blocks', () => {
  const place = column('place', {
    type: 'address',
    typeClass: 'composite',
    baseType: 'address',
    row: {
      type: 'address',
      attributes: [column('street'), column('town'), column('code', { maxLength: 5, type: 'varchar(5)' })],
    },
  });
  const rule = (attributes: Record<string, 'address' | 'token'>, keepRest: string | null) => ({
    rule: 'row' as const,
    attributes: Object.fromEntries(
      Object.entries(attributes).map(([name, one]) => [name, { rule: one, domain: null }]),
    ),
    keepRest,
  });
  const findings = (one: ReturnType<typeof rule>) => {
    const decision = decide(
      catalogue([table('t', [place])]),
      policy({ t: { columns: [{ pattern: 'place', rule: one }] } }),
    );
    return decision.kind === 'findings' ? decision.findings : [];
  };
  expect(findings(rule({ street: 'address' }, 'towns are public'))).toEqual([]);
  expect(findings(rule({ street: 'address', zip: 'token', code: 'token' }, null))).toMatchObject([
    { code: 'rule-unused', where: 't.place.zip', message: expect.stringContaining('street, town, code') },
    {
      code: 'undecided',
      where: 't.place.town',
      message: expect.stringContaining('add "town: city" below row'),
    },
    { code: 'too-short', where: 't.place.code' },
  ]);
  const undecided = decide(catalogue([table('t', [place])]), policy({}));
  expect(undecided.kind === 'findings' && undecided.findings[0]?.paste).toContain(
    'place: { row: { "street": address, "town": city, "code": free-text } }',
  );
});
