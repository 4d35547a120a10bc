import { describe, expect, test } from 'vitest';
import { presentable, splitCommands } from './statement-text.ts';

describe('presentable', () => {
  test.each([
    ["alter table t add check (state in ('a', 'b''s')) ;", "alter table t add check (state in ('…', '…'))"],
    ["update t set a = E'it\\'s', b = 4111111111111111", "update t set a = '…', b = …"],
    ['alter table t alter c type numeric(12, 2)', 'alter table t alter c type numeric(12, 2)'],
    ['select $$secret$$, $x$se$$cret$x$ -- anna@example.com', "select '…', '…'"],
    ['create index "it\'s" on t20240101 (a)', 'create index "it\'s" on t20240101 (a)'],
    ["insert into t values ('cut off", "insert into t values ('…'"],
    ['select $1', 'select $1'],
  ])('%s', (sql, shown) => {
    expect(presentable(sql)).toBe(shown);
  });

  test('is bounded', () => {
    expect(presentable(`select ${'a, '.repeat(10_000)}`).length).toBeLessThan(260);
  });
});

test('a text is cut at its semicolons and nowhere else', () => {
  const sql = `-- first; one
alter table a add b text default ';';
do $$ begin perform 1; end $$; ; /* c; */ create index "x;y" on a (b)`;
  expect(splitCommands(sql).map(presentable)).toEqual([
    "alter table a add b text default '…'",
    "do '…'",
    'create index "x;y" on a (b)',
  ]);
});
