import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Secret } from '@bough/domain/secret';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openStepLog } from './step-log.ts';

const MIB = 1024 * 1024;
let logs: string;

beforeEach(async () => {
  logs = await mkdtemp(join(tmpdir(), 'bough-step-log-'));
});

afterEach(async () => {
  await rm(logs, { recursive: true, force: true });
});

const open = (secrets: Iterable<Secret> = []) =>
  openStepLog(logs, { deploymentId: '41', name: 'build' }, () => secrets);
const path = () => join(logs, 'deployments', '41', 'build.log');

test('lines come out in order, readable by nobody else', async () => {
  const log = await open();
  for (let index = 0; index < 1_000; index += 1) log.line(`line ${index}`);
  await log.close();
  const lines = (await readFile(path(), 'utf8')).split('\n');
  expect(lines).toHaveLength(1_001);
  expect([lines[0], lines[999], lines[1_000]]).toEqual(['line 0', 'line 999', '']);
  expect((await stat(path())).mode & 0o777).toBe(0o600);
});

test('secrets are filtered, those that became known on the way too', async () => {
  const secrets = new Set([new Secret('hunter2-and-more')]);
  const log = await open(secrets);
  log.line('token hunter2-and-more twice hunter2-and-more');
  log.line('late-secret');
  secrets.add(new Secret('late-secret'));
  log.line('a late-secret');
  await log.close();
  expect(await readFile(path(), 'utf8')).toBe(
    'token [redacted] twice [redacted]\nlate-secret\na [redacted]\n',
  );
});

test('after a crash it goes on where it was', async () => {
  const first = await open();
  first.line('one');
  await first.close();
  const second = await open();
  second.line('two');
  await second.close();
  expect(await readFile(path(), 'utf8')).toBe('one\ntwo\n');
});

test('a runaway build is cut off, and the log says so once', async () => {
  const log = await open();
  const line = 'x'.repeat(MIB);
  for (let index = 0; index < 30; index += 1) log.line(line);
  await log.close();
  const text = await readFile(path(), 'utf8');
  expect(text.length).toBeLessThanOrEqual(10 * MIB + 200);
  expect(text.length).toBeGreaterThan(8 * MIB);
  expect(text.match(/cut off/g)).toHaveLength(1);
});

test('cut off stays cut off when the step is resumed', async () => {
  for (let turn = 0; turn < 3; turn += 1) {
    const log = await open();
    for (let index = 0; index < 12; index += 1) log.line('x'.repeat(MIB));
    await log.close();
  }
  expect((await stat(path())).size).toBeLessThanOrEqual(11 * MIB);
});

test('a log that cannot be written does not end the step', async () => {
  const log = await openStepLog(logs, { deploymentId: '41', name: 'missing/build' }, () => []);
  log.line('x');
  await expect(log.close()).resolves.toBeUndefined();
});
