import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { materialise } from '../src/materialise.ts';

const run = promisify(execFile);
const modulePath = pathToFileURL(fileURLToPath(new URL('../src/materialise.ts', import.meta.url))).href;
let home: string;

beforeEach(async () => {
  home = await realpath(await mkdtemp(join(tmpdir(), 'bough-materialise-')));
});
afterEach(() => rm(home, { recursive: true, force: true }));

const target = () => join(home, 'npm', 'tool-1.0');

test('a directory appears whole, once, however many ask at once', async () => {
  let fills = 0;
  const fill = async (directory: string) => {
    fills += 1;
    await writeFile(join(directory, 'a'), 'a');
    await new Promise((resolve) => setImmediate(resolve));
    expect(await readdir(join(home, 'npm')).catch(() => [])).toEqual([]);
    await writeFile(join(directory, 'b'), 'b');
  };
  await Promise.all(Array.from({ length: 8 }, () => materialise({ home, target: target(), fill })));
  expect(fills).toBe(1);
  expect(await readdir(target())).toEqual(['a', 'b']);
  expect(await readdir(join(home, 'tmp'))).toEqual([]);
  expect(await readdir(join(home, 'locks'))).toEqual([]);
});

test('separate processes share the work', async () => {
  const script = `
    import { materialise } from ${JSON.stringify(modulePath)};
    import { appendFile, writeFile } from 'node:fs/promises';
    const [home, target, log] = process.argv.slice(-3);
    await materialise({ home, target, fill: async (directory) => {
      await appendFile(log, 'filled\\n');
      await writeFile(directory + '/content', 'x'.repeat(100000));
    } });`;
  const file = join(home, 'script.mts');
  const log = join(home, 'log');
  await writeFile(file, script);
  const args = ['--import', import.meta.resolve('tsx'), file, home, target(), log];
  await Promise.all(Array.from({ length: 4 }, () => run(process.execPath, args, { timeout: 30_000 })));
  expect(await readFile(log, 'utf8')).toBe('filled\n');
  expect(await readFile(join(target(), 'content'), 'utf8')).toHaveLength(100_000);
});

test('a failure leaves nothing, and the next attempt starts afresh', async () => {
  const failing = materialise({
    home,
    target: target(),
    fill: async (directory) => {
      await writeFile(join(directory, 'half'), '');
      throw new Error('no network');
    },
  });
  await expect(failing).rejects.toThrow('no network');
  expect(await readdir(join(home, 'tmp'))).toEqual([]);
  await materialise({ home, target: target(), fill: (directory) => writeFile(join(directory, 'whole'), '') });
  expect(await readdir(target())).toEqual(['whole']);
});

test('what a killed process was making is taken over and cleaned up', async () => {
  const script = `
    import { materialise } from ${JSON.stringify(modulePath)};
    import { writeFile } from 'node:fs/promises';
    const [home, target] = process.argv.slice(-2);
    await materialise({ home, target, fill: async (directory) => {
      await writeFile(directory + '/half', '');
      console.log('half');
      await new Promise((resolve) => setTimeout(resolve, 60000));
    } });`;
  const file = join(home, 'script.mts');
  await writeFile(file, script);
  const child = spawn(process.execPath, ['--import', import.meta.resolve('tsx'), file, home, target()]);
  await once(child.stdout, 'data');
  child.kill('SIGKILL');
  await once(child, 'exit');
  expect(await readdir(join(home, 'tmp'))).toHaveLength(1);
  await materialise({ home, target: target(), fill: (directory) => writeFile(join(directory, 'whole'), '') });
  expect(await readdir(target())).toEqual(['whole']);
  expect(await readdir(join(home, 'tmp'))).toEqual([]);
});

test('a lock file without a holder does not hold anybody up', async () => {
  await mkdir(join(home, 'locks'));
  await writeFile(join(home, 'locks/tool-1.0.lock'), '');
  await materialise({ home, target: target(), fill: (directory) => writeFile(join(directory, 'whole'), '') });
  expect(await readdir(target())).toEqual(['whole']);
});

test('a waiting caller can be aborted', async () => {
  const controller = new AbortController();
  let finish = () => {};
  const first = materialise({
    home,
    target: target(),
    fill: () =>
      new Promise<void>((resolve) => {
        finish = resolve;
        controller.abort();
      }),
  });
  const second = materialise({ home, target: target(), fill: async () => {}, signal: controller.signal });
  await expect(second).rejects.toThrow('aborted');
  finish();
  await first;
});
