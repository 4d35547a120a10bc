import { expect, test } from 'vitest';
import { createLogReader } from './server-log.ts';

test('statements, events and waits are put together from lines', () => {
  const reader = createLogReader();
  for (const line of `2026 starting
bough 1700000001.500 41 LOG:  duration: 500.250 ms  statement: alter table t
\talter a type bigint;
bough 1700000001.600 41 LOG:  duration: 3.000 ms  parse s1: select 1
bough 1700000001.700 41 LOG:  duration: 7.000 ms  execute s1: update t set a = $1
bough 1700000001.000 41 LOG:  bough-event {"kind":"rewrite","at":1700000001000.5,"database":"main","table":16400}
bough 1700000001.020 50 LOG:  process 50 still waiting for AccessShareLock on relation 16400 of database 5 after 20.100 ms
bough 1700000001.520 50 LOG:  process 50 acquired AccessShareLock on relation 16400 of database 5 after 520.100 ms
bough 1700000001.521 51 LOG:  process 51 acquired ShareLock on transaction 733 after 30.500 ms
bough 1700000001.600 41 ERROR:  relation "x" does not exist`.split('\n'))
    reader.line(line);
  const log = reader.read();
  expect(log.statements).toEqual([
    { pid: 41, from: 1700000000999.75, to: 1700000001500, sql: 'alter table t\nalter a type bigint;' },
    { pid: 41, from: 1700000001693, to: 1700000001700, sql: 'update t set a = $1' },
  ]);
  expect(log.events).toEqual([
    { kind: 'rewrite', at: 1700000001000.5, database: 'main', table: 16400, pid: 41 },
  ]);
  expect(log.waits).toEqual([
    { pid: 50, relation: 16400, waitedMs: 520.1, at: 1700000001520 },
    { pid: 51, relation: null, waitedMs: 30.5, at: 1700000001521 },
  ]);
});

test('of many statements the longest are kept, and the others counted', () => {
  const reader = createLogReader();
  for (let n = 0; n < 5_000; n += 1)
    reader.line(`bough 1700000000.000 41 LOG:  duration: ${n === 7 ? 900 : 3}.0 ms  statement: select ${n}`);
  const { statements, statementsLeftOut } = reader.read();
  expect(statements.length + statementsLeftOut).toBe(5_000);
  expect(statements.length).toBeLessThan(1_100);
  expect(statements.map(({ sql }) => sql)).toContain('select 7');
});
