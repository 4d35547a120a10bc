import { expect, test } from 'vitest';
import { parseYaml } from './parse-yaml.ts';
import { readDataSource } from './read-data-source.ts';
import type { DeclaredApps } from './read-seed-source.ts';
import { createReport } from './report.ts';

const web = {
  name: 'web',
  relationships: [
    { name: 'main', target: 'db', endpoint: null, place: { file: 'p.yaml', line: 1, column: 1 } },
  ],
};

function read(text: string, apps: DeclaredApps = [web]) {
  const report = createReport();
  const node = parseYaml(report, 'p.yaml', text);
  if (typeof node === 'string') throw new Error(node);
  return {
    sources: readDataSource(report, node, apps),
    problems: report.problems.map(({ line, column, message }) => `${line}:${column} ${message}`),
  };
}

test('a secret by its name, or a dump by its name', () => {
  expect(
    read(
      'db: { secret: PRODUCTION_DB }\nfar: { secret: FAR, standby: true, connections: 4 }\nlogs: { file: logs-2026.dump }\n',
    ),
  ).toEqual({
    sources: {
      db: { kind: 'secret', name: 'PRODUCTION_DB' },
      far: { kind: 'secret', name: 'FAR', standby: true, connections: 4 },
      logs: { kind: 'file', name: 'logs-2026.dump' },
    },
    problems: [],
  });
});

test.each([
  ['db: { secret: "postgresql://u:p@h/d" }', 'must be the name of a project secret, not its value'],
  ['db: { file: ../../etc/shadow }', 'must be a name without folders'],
  ['db: { file: .. }', 'must be a name without folders'],
  ['db: { secret: A, file: b }', 'must name one place'],
  ['db: {}', 'must name one place'],
  ['db: { file: a.sql, standby: true }', 'a file is none'],
  ['db: { file: a.sql, connections: 2 }', 'a file is none'],
  [
    'db: { seed: npm run seed, standby: true }',
    '1:27 data: source: db: standby speaks of a server, and a seed is none',
  ],
  ['db: { file: a.sql, app: web }', '1:20 data: source: db: app says whose seed command is run'],
  ['db: { file: a.sql, seed: npm run seed }', '1:1 data: source: db must name one place'],
  ['db: { seed: "  " }', '1:7 data: source: db: seed is an empty command'],
  ['db: { seed: }', 'must name one place'],
  ['db: { seed: 7 }', 'seed must be text'],
  [`db: { seed: "${'x'.repeat(1_001)}" }`, 'longer than 1000 characters'],
  ['db: { seed: npm run seed, app: wep }', '1:27 data: source: db: there is no app "wep"'],
  ['cache: { seed: npm run seed }', '1:10 data: source: cache: app "web" has no relationship to "cache"'],
])('%s', (text, problem) => {
  const { sources, problems } = read(text);
  expect(sources).toEqual({});
  expect(problems).toEqual([expect.stringContaining(problem)]);
});

test.each(['0', '9', '1.5', '"2"', '[2]'])('%s connections', (written) => {
  expect(read(`db: { secret: A, connections: ${written} }`).problems).toEqual([
    expect.stringContaining('connections must be a whole number from 1 to 8'),
  ]);
});

test('a seed command of the only app, or of the one that is named', () => {
  const seed = { kind: 'seed', command: 'npm run seed', app: 'web' };
  expect(read('db: { seed: npm run seed }')).toEqual({ sources: { db: seed }, problems: [] });
  const apps = [web, { ...web, name: 'api' }];
  expect(read('db: { seed: npm run seed, app: web }', apps)).toEqual({ sources: { db: seed }, problems: [] });
  expect(read('db: { seed: npm run seed }', apps).problems).toEqual([
    "1:7 data: source: db: seed does not say which app's command it is.",
  ]);
});

test('of apps that could not be read nothing is said', () => {
  expect(read('db: { seed: npm run seed, app: wep }', 'unknown')).toEqual({ sources: {}, problems: [] });
});
