import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { createTempHome, type TempHome } from '@bough/testkit/temp-home';
import { afterEach, beforeEach, expect, test } from 'vitest';

const run = promisify(execFile);
const program = fileURLToPath(new URL('../bin/bough.js', import.meta.url));
let folder: TempHome;

beforeEach(async () => {
  folder = await createTempHome('check');
});
afterEach(() => folder.remove());

async function repository(files: Readonly<Record<string, string>>): Promise<string> {
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder.path, name)), { recursive: true });
    await writeFile(join(folder.path, name), text);
  }
  return folder.path;
}

async function check(directory: string): Promise<{ code: number; said: string }> {
  const env = { PATH: process.env.PATH, HOME: folder.path, BOUGH_HOME: join(folder.path, 'none') };
  return await run(process.execPath, [program, 'check', directory], { env, timeout: 60_000 }).then(
    ({ stdout }) => ({ code: 0, said: stdout }),
    (error: { code: number; stdout: string; stderr: string }) => ({
      code: error.code,
      said: `${error.stdout}${error.stderr}`,
    }),
  );
}

const APP = 'applications:\n  web:\n    type: nodejs:22\n    source: { root: shop }\n';

test('a manifest with its includes is told to be good, and what of it is not acted on', async () => {
  const directory = await repository({
    '.upsun/config.yaml': `${APP}    hooks: { build: !include { type: string, path: build.sh } }\n    timezone: UTC\nservices:\n  db:\n    type: postgresql:17\n`,
    'shop/build.sh': 'true\n',
  });
  const { code, said } = await check(directory);
  expect(said).toContain('.upsun/config.yaml can be deployed: apps web; services db.');
  expect(said).toMatch(/^note \.upsun\/config\.yaml:6:5: app "web": "timezone" is not acted on yet/m);
  expect(code).toBe(0);
});

test('directories, services and runtimes that cannot be had are all said, each with its place', async () => {
  const directory = await repository({
    '.bough/config.yaml': `${APP}  api:\n    type: php:8.4\nservices:\n  search:\n    type: opensearch:2\n`,
    'shpo/package.json': '{}',
  });
  const { code, said } = await check(directory);
  expect(said).toMatch(/config\.yaml:4:\d+: app "web": directory "shop" is not in the repository/);
  expect(said).toMatch(/config\.yaml:5:3: app "api": There is no toolchain "php"/);
  expect(said).toMatch(/config\.yaml:8:3: service "search": There is no service type "opensearch"/);
  expect(code).toBe(3);
});

test('a manifest in a form that is not read is called by its name', async () => {
  const { code, said } = await check(await repository({ '.platform.app.yaml': 'name: app\n' }));
  expect(said).toMatch(/has no manifest[\s\S]*\.platform\.app\.yaml and \.platform\/ are not read/);
  expect(code).toBe(1);
});
