import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { assertNothingLeft, endProcessesUnder, processesOf } from '../src/leaks.ts';
import { createTempHome, removeAbandonedHomes } from '../src/temp-home.ts';
import { waitFor } from '../src/wait-for.ts';

test('names a process that still works in a directory, and passes once it is gone', async () => {
  const home = await createTempHome();
  const child = spawn('/bin/sleep', ['60'], { cwd: home.path, stdio: 'ignore' });
  await expect(assertNothingLeft({ path: home.path }, 200)).rejects.toThrow(
    `process ${child.pid} in ${home.path}`,
  );
  child.kill('SIGKILL');
  await assertNothingLeft({ path: home.path });
  await home.remove();
});

test('finds a process by a text in its environment', async () => {
  const marker = `marker-${process.pid}-${Date.now()}`;
  const child = spawn('/bin/sleep', ['60'], { env: { BOUGH_MARKER: marker }, stdio: 'ignore' });
  const found = await waitFor('the process', async () => (await processesOf({ marker }))[0]);
  expect(found.pid).toBe(child.pid);
  child.kill('SIGKILL');
  await once(child, 'exit');
  expect(await processesOf({ marker })).toEqual([]);
});

test('a later run ends the processes and removes the directory of a run that was killed', async () => {
  const home = await createTempHome();
  await writeFile(join(home.path, '.owner'), '999999999:1');
  await mkdir(join(home.path, 'read-only'), { mode: 0o500 });
  const child = spawn('/bin/sleep', ['60'], { cwd: home.path, stdio: 'ignore' });
  const exited = once(child, 'exit');
  await removeAbandonedHomes();
  await exited;
  expect(await readdir(dirname(home.path))).not.toContain(home.path.split('/').at(-1));
});

test('does not touch the directory of a run that goes on', async () => {
  const home = await createTempHome();
  await removeAbandonedHomes();
  expect(await readdir(home.path)).toEqual(['.owner']);
  await endProcessesUnder(home.path);
  await home.remove();
});
