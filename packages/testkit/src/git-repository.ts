import { execFile } from 'node:child_process';
import { chmod, mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { testGit } from './test-git.ts';

const run = promisify(execFile);

/** Paths and contents; null removes the file, an `executable` one gets mode 0755. */
export type TestFiles = Readonly<Record<string, string | Buffer | null | { readonly executable: string }>>;

export interface TestRepository {
  readonly path: string;
  /** Writes files, commits everything, returns the commit's id. */
  commit(message: string, files: TestFiles): Promise<string>;
  /** Makes a branch at the current commit (or at another one) and switches to it. */
  branch(name: string, at?: string): Promise<void>;
  checkout(name: string): Promise<void>;
  head(revision?: string): Promise<string>;
  /** Any git command; returns what it prints, without the last line break. */
  git(...args: string[]): Promise<string>;
}

/** A real repository with one commit on `main`, untouched by the configuration of whoever runs the tests. */
export async function createGitRepository(
  path: string,
  files: TestFiles = { 'README.md': '# test\n' },
): Promise<TestRepository> {
  await mkdir(path, { recursive: true });
  const found = await testGit();
  const git = async (...args: string[]) => {
    const options = {
      cwd: path,
      env: { ...gitEnvironment(), ...found.env },
      timeout: 60_000,
      maxBuffer: 16 * 1024 * 1024,
    };
    return (await run(found.command, args, options)).stdout.trimEnd();
  };
  const head = (revision = 'HEAD') => git('rev-parse', '--verify', `${revision}^{commit}`);
  const repository: TestRepository = {
    path,
    git,
    head,
    async commit(message, changes) {
      for (const [name, content] of Object.entries(changes)) await writeTestFile(join(path, name), content);
      await git('add', '--all');
      await git('commit', '--quiet', '--allow-empty', '--message', message);
      return head();
    },
    async branch(name, at = 'HEAD') {
      await git('checkout', '--quiet', '-b', name, at);
    },
    async checkout(name) {
      await git('checkout', '--quiet', name);
    },
  };
  await git('init', '--quiet', '--initial-branch=main');
  await repository.commit('Begin', files);
  return repository;
}

/** Writes a file of a test's tree, with the directories above it. */
export async function writeTestFile(file: string, content: TestFiles[string]): Promise<void> {
  if (content === null || content === undefined) return rm(file, { force: true });
  await mkdir(dirname(file), { recursive: true });
  if (typeof content === 'string' || Buffer.isBuffer(content)) return writeFile(file, content);
  await writeFile(file, content.executable);
  await chmod(file, 0o755);
}

/** For every git that a test starts: no configuration, no prompts, a fixed author. */
export function gitEnvironment(): Record<string, string> {
  return {
    PATH: process.env.PATH ?? '/usr/bin:/bin',
    HOME: '/nonexistent',
    LC_ALL: 'C',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_TERMINAL_PROMPT: '0',
    GIT_AUTHOR_NAME: 'Ada Test',
    GIT_AUTHOR_EMAIL: 'ada@example.com',
    GIT_COMMITTER_NAME: 'Ada Test',
    GIT_COMMITTER_EMAIL: 'ada@example.com',
  };
}
