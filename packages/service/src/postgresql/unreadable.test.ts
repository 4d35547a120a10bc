import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { postgresUnreadable } from './unreadable.ts';

const wanting = (version: string) => ({ name: 'db', type: 'postgresql', version, configuration: {} });

it('reads the files of its own major version and no other', async () => {
  const volume = await mkdtemp(join(tmpdir(), 'bough-unreadable-'));
  onTestFinished(() => rm(volume, { recursive: true }));
  expect(await postgresUnreadable(wanting('17'), volume)).toBeUndefined();
  await mkdir(join(volume, 'pg'));
  await writeFile(join(volume, 'pg', 'PG_VERSION'), '16\n');
  expect(await postgresUnreadable(wanting('16'), volume)).toBeUndefined();
  expect(await postgresUnreadable(wanting('17'), volume)).toBe('16');
});
