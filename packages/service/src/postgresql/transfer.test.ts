import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createReadMeter } from '../read-meter.ts';
import { parseSourceUrl } from './parse-source-url.ts';
import { dumpInto } from './transfer.ts';

let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'bough-transfer-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

async function program(name: string, body: string): Promise<string> {
  const path = join(directory, name);
  await writeFile(path, `#!/bin/sh\n${body}\n`);
  await chmod(path, 0o755);
  return path;
}

test('a reader that waits for its source ends with the load that was refused', {
  timeout: 60_000,
}, async () => {
  const pid = join(directory, 'pid');
  const dump = await program('pg_dump', `echo $$ >${pid}\necho begun\nexec sleep 3600`);
  const restore = await program(
    'pg_restore',
    `read -r line\necho 'pg_restore: error: ERROR:  extension "x" is not available' >&2\nexit 1`,
  );
  const signal = AbortSignal.timeout(25_000);
  const loading = dumpInto(parseSourceUrl('postgresql://u:p@h/main', 'database'), {
    tools: { dump, restore, major: 16 },
    target: {
      service: 'database',
      major: 16,
      host: '127.0.0.1',
      port: 1,
      user: 'u',
      password: 'p',
      database: 'main',
    },
    meter: createReadMeter(() => {}),
    signal,
  });
  await expect(loading).rejects.toMatchObject({
    code: 'source-not-loaded',
    message: expect.stringContaining('extension "…"'),
  });
  const reader = Number(await readFile(pid, 'utf8'));
  expect(() => process.kill(reader, 0)).toThrow('ESRCH');
});
