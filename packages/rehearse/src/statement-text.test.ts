import { describe, expect, test } from 'vitest';
import { namesIn, presentable, splitCommands } from './statement-text.ts';

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

  test.each([
    [
      'alter table `it\'s` add a varchar(9) default "anna # b" # to do',
      "alter table `it's` add a varchar(9) default '…'",
    ],
    [
      "update t set a = 'it\\'s', b = x'00ff' where c = 12345 -- anna",
      "update t set a = '…', b = '…' where c = …",
    ],
  ])('of MariaDB: %s', (sql, shown) => {
    expect(presentable(sql, 'mariadb')).toBe(shown);
  });

  test('is bounded', () => {
    expect(presentable(`select ${'a, '.repeat(10_000)}`).length).toBeLessThan(260);
  });
});

test('a text is cut at its semicolons and nowhere else', () => {
  const sql = `-- first; one
alter table a add b text default ';';
do $$ begin perform 1; end $$; ; /* c; */ create index "x;y" on a (b)`;
  expect(splitCommands(sql).map((sql) => presentable(sql))).toEqual([
    "alter table a add b text default '…'",
    "do '…'",
    'create index "x;y" on a (b)',
  ]);
});

test('names are found without their quotes, and not in strings or comments', () => {
  const names = namesIn("alter table `order-lines` add x int default 'customers' -- stock", 'mariadb');
  expect([...names]).toEqual(expect.arrayContaining(['order-lines', 'x']));
  expect(names.has('customers') || names.has('stock')).toBe(false);
});
