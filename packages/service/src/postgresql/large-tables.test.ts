import { expect, test } from 'vitest';
import { largeOf, partsOf, type SourceTable } from './large-tables.ts';

const table = (of: Partial<SourceTable>): SourceTable => ({
  ...{ name: 'public.t', columns: 'id', bytes: 1000, pages: 10, isPlain: true },
  ...of,
});

test('every page is in one part, and the last part has no end', () => {
  expect(partsOf(table({ bytes: 1000, pages: 10 }), 400).map(({ where }) => where)).toEqual([
    "ctid >= '(0,0)' and ctid < '(4,0)'",
    "ctid >= '(4,0)' and ctid < '(8,0)'",
    "ctid >= '(8,0)'",
  ]);
});

test.each([
  ['wide rows, most of which are stored elsewhere', { bytes: 1000, pages: 2 }, 2],
  ['nothing but wide rows', { bytes: 1000, pages: 1 }, 1],
  ['no rows any more, and what was stored beside them', { bytes: 1000, pages: 0 }, 1],
  ['one that is as large as a part', { bytes: 100, pages: 10 }, 1],
])('%s', (_, of, parts) => {
  expect(partsOf(table(of), 100)).toHaveLength(parts);
});

test('the largest come first, and what COPY does not bring as pg_dump does is not among them', () => {
  const tables = [
    table({ name: 'small', bytes: 99 }),
    table({ name: 'large', bytes: 100 }),
    table({ name: 'larger', bytes: 101 }),
    table({ name: 'odd', isPlain: false }),
  ];
  expect(largeOf(tables, 100).map(({ name }) => name)).toEqual(['larger', 'large']);
});
