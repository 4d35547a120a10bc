import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createGitRepository } from '../src/git-repository.ts';
import { createTempHome } from '../src/temp-home.ts';

test('makes real commits on real branches', async () => {
  const home = await createTempHome();
  const repository = await createGitRepository(join(home.path, 'shop'), { 'a/b.txt': 'one\n' });
  const first = await repository.head();
  await repository.branch('feature');
  const second = await repository.commit('Change', {
    'a/b.txt': 'two\n',
    'run.sh': { executable: '#!/bin/sh\n' },
  });
  expect(second).toMatch(/^[0-9a-f]{40}$/);
  expect(await repository.head('main')).toBe(first);
  expect(await repository.git('log', '--format=%s', 'feature')).toBe('Change\nBegin');
  expect((await stat(join(repository.path, 'run.sh'))).mode & 0o111).toBe(0o111);
  await repository.checkout('main');
  expect(await readFile(join(repository.path, 'a/b.txt'), 'utf8')).toBe('one\n');
  await home.remove();
});
