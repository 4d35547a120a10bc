import { expect, test } from 'vitest';
import { splitMariadbSql } from './split-sql.ts';

async function split(text: string, chunkSize: number): Promise<string[]> {
  async function* chunks() {
    const bytes = Buffer.from(text);
    for (let at = 0; at < bytes.length; at += chunkSize) yield bytes.subarray(at, at + chunkSize);
  }
  const parts: string[] = [];
  for await (const { bytes, line } of splitMariadbSql(chunks()))
    parts.push(`${line} ${Buffer.from(bytes, 'latin1').toString()}`);
  return parts;
}

const dump = `/*M!999999\\- enable the sandbox mode */ 
-- MariaDB dump 10.19  it's; a comment
# another's;
/*!40101 SET NAMES utf8mb4 */;
/* a plain ; one */
INSERT INTO \`t;\` VALUES (1,'it\\'s; \\\\','a''b;',"c\\";",'é'),(2--1,_binary '\\0;');
DELIMITER ;;
/*!50003 CREATE*/ /*!50017 DEFINER=\`root\`@\`%\`*/ /*!50003 TRIGGER d BEFORE INSERT ON t FOR EACH ROW BEGIN
  set new.a = 1; -- half; way
END */;;
DELIMITER ;
select 'delimiter' as delimiter;
-- Dump completed`;

const expected = [
  '4 /*!40101 SET NAMES utf8mb4 */',
  `6 INSERT INTO \`t;\` VALUES (1,'it\\'s; \\\\','a''b;',"c\\";",'é'),(2--1,_binary '\\0;')`,
  `8 /*!50003 CREATE*/ /*!50017 DEFINER=\`root\`@\`%\`*/ /*!50003 TRIGGER d BEFORE INSERT ON t FOR EACH ROW BEGIN
  set new.a = 1;  
END */`,
  "12 select 'delimiter' as delimiter",
];

test.each([1, 2, 3, 7, 64, 100_000])('a dump is cut alike in chunks of %i bytes', async (size) => {
  expect(await split(dump, size)).toEqual(expected);
});

test.each([
  ['select 1;\n\\! touch /tmp/never\n', 'line 2: "\\!" is a command for a client'],
  ['/*M!999999\\! id */;', 'line 1: "\\!" is a command for a client'],
  ['delimiter x\nselect 1x', 'line 1: a delimiter is of'],
  ["select 1;\n\ninsert into t values ('a", 'line 3: the statement has no end'],
  ['no SQL', 'line 1: the statement has no end'],
])('%j is refused', async (text, problem) => {
  for (const size of [1, 1000])
    await expect(split(text, size)).rejects.toMatchObject({
      code: 'source-not-loaded',
      message: expect.stringContaining(problem),
    });
});
