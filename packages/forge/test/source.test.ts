import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { checkoutSource } from '../src/git/checkout-source.ts';
import { runGit } from '../src/git/run-git.ts';
import { diffFiles, listFiles, readFile as readSource, treeId } from '../src/git/source.ts';
import { git, type SandboxFixture, startSandboxFixture, TOKEN } from './sandbox-fixture.ts';

let fixture: SandboxFixture;
let home: string;
let mirror: string;
let first: string;
let second: string;
beforeAll(async () => {
  fixture = await startSandboxFixture('token');
  home = await mkdtemp(join(tmpdir(), 'bough-source-'));
  mirror = join(home, 'mirrors', 'shop.git');
  first = await fixture.push('feature', {
    'api/index.js': 'one\n',
    'web/index.js': 'web\n',
    '.gitattributes': 'secret.txt export-ignore\n',
    'secret.txt': 'still part of the tree\n',
    '.bough/app.yaml': 'apps: {}\n',
    'odd "name"\tü.txt': 'odd\n',
  });
  second = await fixture.push('feature', { 'api/index.js': 'two\n' });
  await fixture.forge.fetch(fixture.repository, { mirror, commit: second });
});
afterAll(async () => {
  await fixture?.close();
  await rm(home, { recursive: true, force: true });
});

it('writes exactly the tree of a commit, with everything in it', async () => {
  const into = join(home, 'checkout');
  const notes = await checkoutSource({ git, mirror, commit: first, into });
  expect(notes).toEqual({ submodules: [], skipped: [], lfsPointers: [] });
  expect((await readdir(into)).sort()).toEqual(
    ['.bough', '.gitattributes', 'README.md', 'api', 'odd "name"\tü.txt', 'secret.txt', 'web'].sort(),
  );
  expect(await readFile(join(into, 'api', 'index.js'), 'utf8')).toBe('one\n');
  expect((await readdir(home)).sort()).toEqual(['checkout', 'mirrors']);
});

it('lets several checkouts run at once', async () => {
  const intos = [1, 2, 3, 4].map((index) => join(home, `parallel-${index}`));
  await Promise.all(
    intos.map((into, index) => checkoutSource({ git, mirror, commit: index % 2 ? first : second, into })),
  );
  expect(await readFile(join(home, 'parallel-1', 'api', 'index.js'), 'utf8')).toBe('two\n');
  expect(await readFile(join(home, 'parallel-2', 'api', 'index.js'), 'utf8')).toBe('one\n');
});

it('keys a directory by its content', async () => {
  const id = (commit: string, path: string) => treeId({ git, mirror, commit, path });
  expect(await id(first, 'web')).toBe(await id(second, './web/'));
  expect(await id(first, 'api')).not.toBe(await id(second, 'api'));
  expect(await id(first, '')).toMatch(/^[0-9a-f]{40}$/);
  expect(await id(first, '.')).toBe(await id(first, ''));
  expect(await id(first, 'nowhere')).toBeUndefined();
  expect(await id(first, 'api/index.js')).toBeUndefined();
});

it('reads files without a checkout', async () => {
  const read = (path: string) => readSource({ git, mirror, commit: first, path });
  expect((await read('.bough/app.yaml'))?.toString()).toBe('apps: {}\n');
  expect((await read('odd "name"\tü.txt'))?.toString()).toBe('odd\n');
  expect(await read('nowhere')).toBeUndefined();
  expect(await read('api')).toBeUndefined();
  expect(await read('../../etc/passwd')).toBeUndefined();
  await expect(
    readSource({ git, mirror, commit: first, path: 'README.md', sizeMaxBytes: 3 }),
  ).rejects.toThrow('README.md is 7 bytes');
  expect(await listFiles({ git, mirror, commit: first, path: '.bough' })).toEqual(['.bough/app.yaml']);
  expect(await listFiles({ git, mirror, commit: first, path: '' })).toHaveLength(7);
  expect(await listFiles({ git, mirror, commit: first, path: 'nowhere' })).toEqual([]);
});

it('prints how files differ, whatever their names and attributes are', async () => {
  const commit = await fixture.push('differs', {
    '.gitattributes': '* -diff\n',
    '.bough/app.yaml': 'apps: { more: {} }\n',
    'api/index.js': 'not asked for\n',
  });
  await fixture.forge.fetch(fixture.repository, { mirror, commit });
  const diff = (paths: string[]) => diffFiles({ git, mirror, from: first, commit, paths });
  const found = await diff(['.bough/app.yaml', '*']);
  expect(found).toContain('-apps: {}\n+apps: { more: {} }\n');
  expect(found).not.toContain('not asked for');
  expect(await diff(['nowhere'])).toBe('');
  expect(await diff([])).toBe('');
});

it('says that a commit was not fetched', async () => {
  const unknown = 'c'.repeat(40);
  const source = { git, mirror, commit: unknown };
  await expect(checkoutSource({ ...source, into: join(home, 'no') })).rejects.toMatchObject({
    code: 'commit-gone',
  });
  await expect(listFiles({ ...source, path: '' })).rejects.toMatchObject({ code: 'commit-gone' });
});

it('says which files are Git LFS pointers', async () => {
  const pointer = `version https://git-lfs.github.com/spec/v1\noid sha256:${'a'.repeat(64)}\nsize 12345\n`;
  const commit = await fixture.push('lfs', {
    '.gitattributes': '*.bin filter=lfs diff=lfs merge=lfs -text\n',
    'model.bin': pointer,
    'plain.txt': 'plain\n',
  });
  await fixture.forge.fetch(fixture.repository, { mirror, commit });
  const notes = await checkoutSource({ git, mirror, commit, into: join(home, 'lfs') });
  expect(notes.lfsPointers).toEqual(['model.bin']);
});

/** Pushes a commit with submodules, which the sandbox's own commands cannot make. */
async function pushSubmodules(
  submodules: readonly { path: string; url: string; commit: string }[],
): Promise<string> {
  const work = join(home, 'work');
  await rm(work, { recursive: true, force: true });
  const remote = fixture.sandbox.url.replace('http://', `http://x:${TOKEN}@`);
  const env = {
    GIT_AUTHOR_NAME: 'a',
    GIT_AUTHOR_EMAIL: 'a@b',
    GIT_COMMITTER_NAME: 'a',
    GIT_COMMITTER_EMAIL: 'a@b',
  };
  const run = async (...args: string[]) => {
    const result = await runGit({ git, args, timeoutMs: 20_000, env });
    if (result.code !== 0) throw new Error(result.stderr);
    return result.stdout.toString().trim();
  };
  await run('clone', '--quiet', `${remote}/acme/shop.git`, work);
  for (const { path, url, commit } of submodules) {
    await run('-C', work, 'update-index', '--add', '--cacheinfo', `160000,${commit},${path}`);
    await run('-C', work, 'config', '-f', join(work, '.gitmodules'), `submodule.${path}.path`, path);
    await run('-C', work, 'config', '-f', join(work, '.gitmodules'), `submodule.${path}.url`, url);
  }
  await run('-C', work, 'add', '.gitmodules');
  await run('-C', work, 'commit', '--quiet', '-m', 'Add submodules');
  await run('-C', work, 'push', '--quiet', 'origin', 'HEAD:refs/heads/submodules', '--force');
  return run('-C', work, 'rev-parse', 'HEAD');
}

it('fills in submodules on the same host, and says why others stay empty', async () => {
  await fixture.sandbox.createRepository({ owner: 'acme', name: 'theme', private: true });
  const theme = await fixture.sandbox.commit({
    repo: 'acme/theme',
    branch: 'main',
    files: { 'style.css': 'body {}\n' },
    message: 'Start',
  });
  const commit = await pushSubmodules([
    { path: 'vendor/theme', url: '../theme.git', commit: theme },
    { path: 'vendor/foreign', url: 'https://elsewhere.example.com/x/y.git', commit: theme },
    { path: 'vendor/local', url: 'file:///etc', commit: theme },
  ]);
  await fixture.forge.fetch(fixture.repository, { mirror, commit });
  const submodules = {
    forge: fixture.forge,
    repository: fixture.repository,
    url: `${fixture.sandbox.url}/acme/shop.git`,
    mirrors: join(home, 'mirrors'),
  };
  const into = join(home, 'with-submodules');
  const notes = await checkoutSource({ git, mirror, commit, into, submodules });
  expect(await readFile(join(into, 'vendor', 'theme', 'style.css'), 'utf8')).toBe('body {}\n');
  expect(notes.submodules).toEqual(['vendor/theme']);
  expect(notes.skipped.map(({ path }) => path).sort()).toEqual(['vendor/foreign', 'vendor/local']);
  expect((await stat(join(into, 'vendor', 'foreign'))).isDirectory()).toBe(true);

  const anonymous = checkoutSource({
    git,
    mirror,
    commit,
    into: join(home, 'anonymous'),
    submodules: { ...submodules, mirrors: join(home, 'public-mirrors'), anonymous: true },
  });
  await expect(anonymous).rejects.toMatchObject({
    code: 'forge-unauthorized',
    message: expect.stringContaining('vendor/theme'),
  });
});
