import { appendFile, chmod, mkdir, readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { BoughError } from '@bough/domain/bough-error';
import type { GitCommand } from '@bough/forge/git/run-git';
import { execa } from 'execa';

/** Text, bytes, or null to delete the file. The long form is what JSON can carry. */
export type FileContent =
  | string
  | Buffer
  | null
  | { content: string; encoding?: 'utf8' | 'base64' | undefined; executable?: boolean | undefined };

export interface CommitInfo {
  sha: string;
  tree: string;
  parents: string[];
  authorName: string;
  authorEmail: string;
  authoredAt: string;
  committerName: string;
  committerEmail: string;
  committedAt: string;
  message: string;
}

export interface ChangedFile {
  path: string;
  previousPath: string | undefined;
  status: 'added' | 'removed' | 'modified' | 'renamed';
  sha: string;
  additions: number;
  deletions: number;
}

const NO_COMMIT = '0000000000000000000000000000000000000000';
const TIMEOUT_MS = 30_000;
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;

// GitHub's own refs can be fetched but not pushed; a background gc would outlive the sandbox.
const SETTINGS = `[http]
\treceivepack = true
[uploadpack]
\tallowFilter = true
\tallowAnySHA1InWant = true
\tallowReachableSHA1InWant = true
[receive]
\thideRefs = refs/pull
\tdenyDeleteCurrent = refuse
\tautogc = false
[gc]
\tauto = 0
`;

// Neither the machine's nor the user's configuration may change what a commit looks like.
const ENVIRONMENT = {
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_TERMINAL_PROMPT: '0',
  GIT_AUTHOR_NAME: 'Sandbox',
  GIT_AUTHOR_EMAIL: 'sandbox@example.com',
  GIT_COMMITTER_NAME: 'Sandbox',
  GIT_COMMITTER_EMAIL: 'sandbox@example.com',
  LC_ALL: 'C',
};

/** One bare repository on disk, driven through git's plumbing. Knows nothing of pull requests. */
export class BareRepository {
  readonly path: string;
  readonly #git: GitCommand;

  constructor(path: string, git: GitCommand) {
    this.path = path;
    this.#git = git;
  }

  async create(defaultBranch: string): Promise<void> {
    await mkdir(this.path, { recursive: true });
    await this.#run(['init', '--quiet', '--bare', `--initial-branch=${defaultBranch}`, '.']);
    await appendFile(join(this.path, 'config'), SETTINGS);
    await chmod(this.path, 0o700);
  }

  /** Branches and tags, full name → sha. */
  async refs(): Promise<Record<string, string>> {
    const text = await this.#run([
      'for-each-ref',
      '--format=%(objectname) %(refname)',
      'refs/heads',
      'refs/tags',
    ]);
    const lines = text.split('\n').filter((line) => line !== '');
    return Object.fromEntries(lines.map((line) => [line.slice(41), line.slice(0, 40)]));
  }

  /** The commit that a branch, tag, `heads/x`, full ref or sha names. */
  async resolve(ref: string): Promise<string | undefined> {
    if (ref.startsWith('-')) return undefined;
    const candidates = /^[0-9a-f]{7,40}$/.test(ref)
      ? [ref]
      : [`refs/heads/${ref}`, `refs/tags/${ref}`, `refs/${ref}`, ref];
    for (const candidate of candidates) {
      const sha = await this.#try([
        'rev-parse',
        '--verify',
        '--quiet',
        '--end-of-options',
        `${candidate}^{commit}`,
      ]);
      if (sha) return sha;
    }
    return undefined;
  }

  async commitInfo(sha: string): Promise<CommitInfo> {
    const format = '%H%x00%T%x00%P%x00%an%x00%ae%x00%aI%x00%cn%x00%ce%x00%cI%x00%B';
    const text = await this.#run(['show', '-s', `--format=${format}`, sha]);
    const part = text.split('\0');
    const at = (index: number) => part[index] ?? '';
    return {
      sha: at(0),
      tree: at(1),
      parents: at(2).split(' ').filter(Boolean),
      authorName: at(3),
      authorEmail: at(4),
      authoredAt: at(5),
      committerName: at(6),
      committerEmail: at(7),
      committedAt: at(8),
      message: at(9).trimEnd(),
    };
  }

  /** Commits reachable from `head` and not from `base`, oldest first; at most 250, as GitHub lists. */
  async commitsBetween(base: string, head: string): Promise<string[]> {
    const text = await this.#run(['rev-list', '--reverse', '--max-count=250', head, `^${base}`]);
    return text.split('\n').filter(Boolean);
  }

  async history(head: string, limit: number): Promise<string[]> {
    return (await this.#run(['rev-list', `--max-count=${limit}`, head])).split('\n').filter(Boolean);
  }

  mergeBase(a: string, b: string): Promise<string | undefined> {
    return this.#try(['merge-base', a, b]);
  }

  async isAncestor(ancestor: string, sha: string): Promise<boolean> {
    return (await this.#try(['merge-base', '--is-ancestor', ancestor, sha])) !== undefined;
  }

  async changedFiles(base: string, head: string): Promise<ChangedFile[]> {
    const raw = await this.#run([
      'diff-tree',
      '-r',
      '-z',
      '-M',
      '--raw',
      '--numstat',
      '--no-commit-id',
      base,
      head,
    ]);
    return parseChanges(raw);
  }

  patch(base: string, head: string, path: string): Promise<string> {
    return this.#run(['diff', '-M', base, head, '--', path]).then((text) => {
      const start = text.indexOf('\n@@');
      return start < 0 ? '' : text.slice(start + 1);
    });
  }

  diff(base: string, head: string): Promise<string> {
    return this.#run(['diff', '-M', base, head]);
  }

  /** A blob (its bytes) or a tree (its entries) at a path of a commit. */
  async read(
    sha: string,
    path: string,
  ): Promise<
    | { type: 'file'; sha: string; bytes: Buffer }
    | { type: 'dir'; entries: { type: 'file' | 'dir'; path: string; sha: string; size: number }[] }
    | undefined
  > {
    const clean = path.replace(/^\/+|\/+$/g, '');
    const object = await this.#try(['rev-parse', '--verify', '--quiet', `${sha}:${clean}`]);
    if (!object) return undefined;
    const type = await this.#run(['cat-file', '-t', object]);
    if (type === 'blob')
      return { type: 'file', sha: object, bytes: await this.#bytes(['cat-file', 'blob', object]) };
    const text = await this.#run(['ls-tree', '-z', '--long', object]);
    const entries = text
      .split('\0')
      .filter(Boolean)
      .map((line) => treeEntry(line, clean));
    return { type: 'dir', entries };
  }

  /** Commits files on top of `from`; the branch moves only if it is still where it was read. */
  async commit(options: {
    branch: string;
    from: string | undefined;
    files: Record<string, FileContent>;
    message: string;
    replaceTree?: boolean | undefined;
    author?: { name: string; email: string } | undefined;
  }): Promise<string> {
    const ref = `refs/heads/${options.branch}`;
    const author = options.author ?? { name: 'Sandbox', email: 'sandbox@example.com' };
    const who = `${author.name.replace(/[<>\n]/g, '')} <${author.email.replace(/[<>\n]/g, '')}> ${Math.floor(Date.now() / 1000)} +0000`;
    const parts: (string | Buffer)[] = [
      `feature done\ncommit ${ref}\nauthor ${who}\ncommitter ${who}\n`,
      ...data(options.message),
    ];
    if (options.from) parts.push(`from ${options.from}\n`);
    if (options.replaceTree) parts.push('deleteall\n');
    for (const [path, content] of Object.entries(options.files)) parts.push(...fileChange(path, content));
    parts.push('\ndone\n');
    const input = Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : part)));
    await this.#run(['fast-import', '--quiet', '--done', '--date-format=raw', '--force'], input);
    return this.#run(['rev-parse', '--verify', ref]);
  }

  /** The whole folder as one commit, `.git` and `node_modules` left out. */
  async readFolder(folder: string): Promise<Record<string, FileContent>> {
    const files: Record<string, FileContent> = {};
    const entries = await readdir(folder, { recursive: true, withFileTypes: true });
    for (const entry of entries) {
      const path = join(entry.parentPath, entry.name);
      const name = path.slice(folder.replace(/\/+$/, '').length + 1);
      if (!entry.isFile() || /(^|\/)(\.git|node_modules)\//.test(name)) continue;
      const executable = ((await stat(path)).mode & 0o100) !== 0;
      files[name] = { content: (await readFile(path)).toString('base64'), encoding: 'base64', executable };
    }
    return files;
  }

  /** The tree of a clean three-way merge, or undefined when it conflicts. */
  async mergeTree(base: string, head: string): Promise<string | undefined> {
    const { exitCode, stdout, stderr } = await this.#result(['merge-tree', '--write-tree', base, head]);
    if (exitCode === 0) return stdout.split('\n')[0];
    if (exitCode === 1) return undefined;
    throw this.#failure(['merge-tree'], stderr);
  }

  commitTree(tree: string, parents: string[], message: string): Promise<string> {
    return this.#run(['commit-tree', tree, ...parents.flatMap((parent) => ['-p', parent]), '-m', message]);
  }

  /** Compare-and-swap: fails when the ref is no longer at `old` (undefined = must not exist, `any` = do not check). */
  async updateRef(ref: string, sha: string, old: string | undefined | 'any'): Promise<void> {
    await this.#run(['update-ref', ref, sha, ...(old === 'any' ? [] : [old ?? NO_COMMIT])]);
  }

  async deleteRef(ref: string): Promise<void> {
    await this.#run(['update-ref', '-d', ref]);
  }

  async fetchFrom(other: BareRepository, refspec: string): Promise<void> {
    await this.#run(['fetch', '--quiet', '--no-tags', '--no-write-fetch-head', other.path, refspec]);
  }

  /** Moves HEAD, for a repository whose default branch is renamed. */
  async setHead(branch: string): Promise<void> {
    await this.#run(['symbolic-ref', 'HEAD', `refs/heads/${branch}`]);
  }

  async #result(args: string[], input?: Buffer) {
    const result = await execa(this.#git.command, args, {
      cwd: this.path,
      env: { ...this.#git.env, ...ENVIRONMENT, GIT_DIR: this.path },
      reject: false,
      timeout: TIMEOUT_MS,
      maxBuffer: MAX_OUTPUT_BYTES,
      ...(input ? { input } : {}),
    });
    return {
      exitCode: result.exitCode,
      stdout: result.stdout ?? '',
      stderr: result.stderr || (result.shortMessage ?? ''),
    };
  }

  async #run(args: string[], input?: Buffer): Promise<string> {
    const { exitCode, stdout, stderr } = await this.#result(args, input);
    if (exitCode !== 0) throw this.#failure(args, stderr ?? '');
    return stdout;
  }

  async #try(args: string[]): Promise<string | undefined> {
    const { exitCode, stdout, stderr } = await this.#result(args);
    if (exitCode === undefined) throw this.#failure(args, stderr ?? '');
    return exitCode === 0 ? stdout : undefined;
  }

  async #bytes(args: string[]): Promise<Buffer> {
    const { stdout } = await execa(this.#git.command, args, {
      cwd: this.path,
      env: { ...this.#git.env, ...ENVIRONMENT, GIT_DIR: this.path },
      encoding: 'buffer',
      stripFinalNewline: false,
      timeout: TIMEOUT_MS,
      maxBuffer: MAX_OUTPUT_BYTES,
    });
    return Buffer.from(stdout);
  }

  #failure(args: string[], stderr: string): BoughError {
    return new BoughError({
      code: 'sandbox-git-failed',
      message: `git ${args[0]} failed in the sandbox: ${stderr.trim().split('\n').at(-1) ?? 'no output'}`,
      hint: `Bough's sandbox needs git 2.38 or newer as "${this.#git.command}".`,
      tail: stderr.split('\n').slice(-20),
    });
  }
}

function data(content: string | Buffer): (string | Buffer)[] {
  const bytes = typeof content === 'string' ? Buffer.from(content) : content;
  return [`data ${bytes.length}\n`, bytes, '\n'];
}

function fileChange(path: string, content: FileContent): (string | Buffer)[] {
  if (
    path === '' ||
    path.startsWith('/') ||
    path.split('/').some((part) => part === '..' || part === '.git')
  ) {
    throw new BoughError({
      code: 'sandbox-bad-path',
      message: `"${path}" cannot be a file of a repository.`,
      hint: 'Paths are relative to the root of the repository.',
    });
  }
  const quoted = `"${path.replace(/[\\"]/g, '\\$&').replaceAll('\n', '\\n')}"`;
  if (content === null) return [`D ${quoted}\n`];
  if (typeof content === 'string' || Buffer.isBuffer(content))
    return [`M 100644 inline ${quoted}\n`, ...data(content)];
  const bytes = Buffer.from(content.content, content.encoding ?? 'utf8');
  return [`M ${content.executable ? '100755' : '100644'} inline ${quoted}\n`, ...data(bytes)];
}

function treeEntry(line: string, folder: string) {
  const [head = '', name = ''] = line.split('\t');
  const [, type, sha = '', size = '0'] = head.split(/\s+/);
  return {
    type: type === 'tree' ? ('dir' as const) : ('file' as const),
    path: folder === '' ? name : `${folder}/${name}`,
    sha,
    size: size === '-' ? 0 : Number(size),
  };
}

const KINDS: Record<string, ChangedFile['status']> = {
  A: 'added',
  D: 'removed',
  M: 'modified',
  R: 'renamed',
  T: 'modified',
};

/** `--raw -z` gives `:modes shas S\0path\0[newpath\0]`, then `--numstat -z` gives `a\td\tpath\0` or `a\td\t\0old\0new\0`. */
function parseChanges(text: string): ChangedFile[] {
  const fields = text.split('\0');
  const files = new Map<string, ChangedFile>();
  for (let index = 0; index < fields.length; index += 1) {
    const field = fields[index] ?? '';
    if (field.startsWith(':')) {
      const [, , oldSha = '', newSha = '', kind = 'M'] = field.split(' ');
      const renamed = kind.startsWith('R');
      const first = fields[++index] ?? '';
      const path = renamed ? (fields[++index] ?? '') : first;
      const sha = kind.startsWith('D') ? oldSha : newSha;
      const status = KINDS[kind[0] ?? 'M'] ?? 'modified';
      files.set(path, {
        path,
        previousPath: renamed ? first : undefined,
        status,
        sha,
        additions: 0,
        deletions: 0,
      });
    } else if (field.includes('\t')) {
      const [added = '', deleted = '', name = ''] = field.split('\t');
      if (name === '') index += 2;
      const file = files.get(name === '' ? (fields[index] ?? '') : name);
      if (!file) continue;
      file.additions = Number(added) || 0;
      file.deletions = Number(deleted) || 0;
    }
  }
  return [...files.values()];
}
