import { readdir, stat } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { createTempHome, type TempHome } from '@bough/testkit/temp-home';
import { createToolchain } from '@bough/toolchain/toolchain';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type DiagnoseOptions, diagnose } from '../src/doctor.ts';
import { quiet } from './embedded.ts';

let home: TempHome;
beforeEach(async () => {
  home = await createTempHome('doctor');
});
afterEach(() => home.remove());

async function statuses(more: Partial<DiagnoseOptions> = {}): Promise<Record<string, string>> {
  const env = more.env ?? process.env;
  const toolchain = createToolchain({ home: join(home.path, 'bough/toolchains'), env, log: quiet });
  const findings = await diagnose({ home: join(home.path, 'bough'), toolchain, env, ...more });
  for (const finding of findings) {
    if (finding.status !== 'ok') expect(finding.fix, finding.name).toBeTruthy();
  }
  return Object.fromEntries(findings.map(({ name, status, message }) => [name, `${status}: ${message}`]));
}

test('reports every part of the machine and leaves no trace', async () => {
  const found = await statuses();
  expect(found.node).toBe(`ok: Node ${process.versions.node}`);
  expect(found.npm).toMatch(/^ok: npm \d+\./);
  expect(found.git).toMatch(/^ok: git/);
  expect(found.postgres).toMatch(/^ok: PostgreSQL 17/);
  expect(found.disk).toMatch(/GiB free/);
  expect(Object.keys(found)).toEqual(expect.arrayContaining(['queue store', 'cgroups', 'limits', 'network']));
  expect(await readdir(home.path)).toEqual(['.owner']);
  await expect(stat(join(home.path, 'bough'))).rejects.toThrow();
});

test('names a port that is taken, a Redis that does not answer and a CA file that is not there', async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = address !== null && typeof address === 'object' ? address.port : 0;
  const found = await statuses({
    ports: { BOUGH_PORT: port },
    redisUrl: 'redis://:hunter22@127.0.0.1:9',
    databaseUrl: 'postgres://me:hunter22@db.example.com/bough',
    env: { ...process.env, NODE_EXTRA_CA_CERTS: '/nowhere/ca.pem' },
  });
  server.close();
  expect(found.ports).toMatch(new RegExp(`^warning: Port ${port} \\(BOUGH_PORT\\) is taken`));
  expect(found['queue store']).toMatch(/^problem: .*127.0.0.1:9.*does not answer/);
  expect(found.network).toBe('problem: /nowhere/ca.pem cannot be read.');
  expect(JSON.stringify(found)).not.toContain('hunter22');
});
