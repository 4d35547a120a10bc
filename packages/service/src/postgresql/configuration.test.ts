import { describe, expect, it } from 'vitest';
import { checkConfiguration, readConfiguration } from './configuration.ts';

const declare = (configuration: Record<string, unknown>, version = '17') => ({
  name: 'database',
  type: 'postgresql',
  version,
  configuration,
});

describe('readConfiguration', () => {
  it('writes the defaults out', () => {
    expect(readConfiguration(declare({}))).toEqual({
      databases: ['main'],
      endpoints: { postgresql: { defaultDatabase: 'main', privileges: { main: 'admin' } } },
      extensions: [],
      collation: undefined,
      ctype: undefined,
    });
  });

  it('gives the default endpoint every database when only databases are named', () => {
    expect(readConfiguration(declare({ databases: ['shop', 'stock'] })).endpoints).toEqual({
      postgresql: { defaultDatabase: 'shop', privileges: { shop: 'admin', stock: 'admin' } },
    });
  });

  it('takes the endpoints as they are when they are named', () => {
    const configuration = {
      databases: ['shop'],
      endpoints: { web: { default_database: 'shop', privileges: { shop: 'rw' } } },
      extensions: ['pg_trgm', 'uuid-ossp'],
    };
    expect(readConfiguration(declare(configuration))).toMatchObject({
      endpoints: { web: { defaultDatabase: 'shop', privileges: { shop: 'rw' } } },
      extensions: ['pg_trgm', 'uuid-ossp'],
    });
  });

  it('throws the first problem, with the place', () => {
    expect(() => readConfiguration(declare({ databases: 'main' }))).toThrow(
      'Service "database", databases: "databases" must be a list of names.',
    );
  });
});

describe('checkConfiguration', () => {
  const cases: [string, Record<string, unknown>, (string | number)[]][] = [
    ['an unknown key', { database: ['x'] }, ['database']],
    ['a reserved database', { databases: ['main', 'template1'] }, ['databases', 1]],
    ['a name with a quote', { databases: ['a"b'] }, ['databases', 0]],
    [
      "an endpoint in Bough's own name",
      { endpoints: { bough: { privileges: { main: 'rw' } } } },
      ['endpoints', 'bough'],
    ],
    [
      'an endpoint that Postgres reserves',
      { endpoints: { pg_x: { privileges: { main: 'rw' } } } },
      ['endpoints', 'pg_x'],
    ],
    ['an endpoint without privileges', { endpoints: { web: {} } }, ['endpoints', 'web', 'privileges']],
    [
      'a privilege that is none',
      { endpoints: { web: { privileges: { main: 'all' } } } },
      ['endpoints', 'web', 'privileges', 'main'],
    ],
    [
      'a database that is none',
      { endpoints: { web: { privileges: { shop: 'rw' } } } },
      ['endpoints', 'web', 'privileges', 'shop'],
    ],
    [
      'a default database that is none',
      { endpoints: { web: { default_database: 'shop', privileges: { main: 'ro' } } } },
      ['endpoints', 'web', 'default_database'],
    ],
    ['another charset', { default_charset: 'LATIN1' }, ['default_charset']],
    ['a collation with a quote', { default_collation: "x'; drop" }, ['default_collation']],
    ['an extension with a space', { extensions: ['pg trgm'] }, ['extensions', 0]],
  ];
  for (const [what, configuration, path] of cases) {
    it(`finds ${what}`, () => {
      const problems = checkConfiguration(declare(configuration));
      expect(problems.map((problem) => problem.path)).toEqual([path]);
      expect(problems[0]?.hint).not.toBe('');
    });
  }

  it('finds a version that is not offered', () => {
    expect(checkConfiguration(declare({}, '12'))).toMatchObject([
      { path: ['type'], hint: 'Use one of 14, 15, 16, 17, 18.' },
    ]);
  });
});
