import { expect, test } from 'vitest';
import { parseYaml } from './parse-yaml.ts';
import { readDataSource } from './read-data-source.ts';
import { createReport } from './report.ts';

function read(text: string) {
  const report = createReport();
  const node = parseYaml(report, 'p.yaml', text);
  if (typeof node === 'string') throw new Error(node);
  return { sources: readDataSource(report, node), problems: report.problems.map(({ message }) => message) };
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
