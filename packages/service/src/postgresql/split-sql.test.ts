import { expect, test } from 'vitest';
import { splitSql } from './split-sql.ts';

async function split(text: string | Buffer, chunkSize: number): Promise<string[]> {
  async function* chunks() {
    const bytes = Buffer.from(text);
    for (let at = 0; at < bytes.length; at += chunkSize) yield bytes.subarray(at, at + chunkSize);
  }
  const parts: string[] = [];
  let rows = '';
  for await (const part of splitSql(chunks())) {
    if (part.kind === 'rows') rows += part.bytes.toString();
    else if (part.kind === 'copied') parts.push(`rows ${JSON.stringify(rows)}`);
    else parts.push(`${part.line} ${part.kind} ${part.text}`);
    if (part.kind === 'copied') rows = '';
  }
  return parts;
}

const dump = `--
-- PostgreSQL database dump; with 'a quote
--
\\restrict aBc123

SET client_encoding = 'UTF8';
CREATE FUNCTION f() RETURNS text LANGUAGE plpgsql AS $_$ begin return 'a;b' || $$c;\\!$$; end; $_$;
CREATE FUNCTION g(x int) RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT CASE WHEN x > 1 THEN 2 ELSE 3 END; SELECT 1; END;
CREATE RULE r AS ON INSERT TO t DO ALSO (SELECT 1; SELECT 2);
INSERT INTO "t;""x" VALUES (1, 'it''s; \\', E'it\\'s;''\\\\', 'é–', -1 /* ; /* nested ; */ ' */, 2 - 1, 4 / 2);
COPY public.people (id, note) FROM stdin;
1	a;b
2	\\N
3	\\\\.
\\.

COPY empty (id) FROM stdin;
\\.
select foo$1$, 1;
-- the end
\\unrestrict aBc123
`;

const expected = [
  "6 statement SET client_encoding = 'UTF8'",
  "7 statement CREATE FUNCTION f() RETURNS text LANGUAGE plpgsql AS $_$ begin return 'a;b' || $$c;\\!$$; end; $_$",
  '8 statement CREATE FUNCTION g(x int) RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT CASE WHEN x > 1 THEN 2 ELSE 3 END; SELECT 1; END',
  '9 statement CREATE RULE r AS ON INSERT TO t DO ALSO (SELECT 1; SELECT 2)',
  `10 statement INSERT INTO "t;""x" VALUES (1, 'it''s; \\', E'it\\'s;''\\\\', 'é–', -1  , 2 - 1, 4 / 2)`,
  '11 copy COPY public.people (id, note) FROM stdin',
  'rows "1\\ta;b\\n2\\t\\\\N\\n3\\t\\\\\\\\.\\n"',
  '17 copy COPY empty (id) FROM stdin',
  'rows ""',
  '19 statement select foo$1$, 1',
];

test.each([1, 2, 3, 7, 64, 100_000])('a dump is cut alike in chunks of %i bytes', async (size) => {
  expect(await split(dump, size)).toEqual(expected);
});

test.each([
  ['select 1;\n\\! touch /tmp/never\n', 'line 2: "\\!" is a command for psql'],
  ['select 1 \\gexec\n', 'line 1: "\\gexec" is a command for psql'],
  ["\\connect shop\nselect ';", 'line 1: "\\connect" is a command for psql'],
  ["\\copy t from program 'id'\n", 'line 1: "\\copy" is a command'],
  ['create table t (a int) \\restrict aBc\n', 'line 1: "\\restrict" is a command'],
  ['\\restrict abc \\! id\n', 'line 1: "\\restrict" is a command'],
  ['copy t from stdin; select 2;\n\\.\n', 'line 1: something stands behind'],
  ['select 1;\ncopy t from stdin;\n1\n2\n', 'the rows have no end'],
  ["select 1;\n\ninsert into t values ('a", 'line 3: the statement has no end'],
  ['no SQL', 'line 1: the statement has no end'],
  [Buffer.from("select 1;\nselect '\xff';", 'latin1'), 'line 2: it is not UTF-8'],
])('%j is refused', async (text, problem) => {
  for (const size of [1, 1000])
    await expect(split(text, size)).rejects.toMatchObject({
      code: 'source-not-loaded',
      message: expect.stringContaining(problem),
    });
});
