import { randomUUID } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { ForgeError } from '../forge-error.ts';
import { isObjectId } from './mirror.ts';
import { type GitCommand, type GitResult, runGit } from './run-git.ts';

/** A commit in a mirror; it was fetched before. */
export interface SourceAt {
  readonly git: GitCommand;
  readonly mirror: string;
  readonly commit: string;
  readonly signal?: AbortSignal | undefined;
}

const CHECKOUT_TIMEOUT_MS = 5 * 60_000;
const SHORT_MS = 30_000;

/**
 * Writes exactly the commit's tree into a directory, which must be absent or empty. Through an index of its own and not
 * `git archive`, which leaves out what `.gitattributes` marks `export-ignore`. No `.git` is made. Several may run at once
 * on one mirror.
 */
export async function writeTree(source: SourceAt & { into: string }): Promise<void> {
  await mkdir(source.into, { recursive: true });
  // Beside the tree, so that whoever sweeps up after a crash finds it there.
  const index = `${source.into.replace(/\/+$/, '')}.index-${randomUUID()}`;
  const env = { GIT_INDEX_FILE: index, GIT_WORK_TREE: source.into };
  try {
    const commit = `${checked(source.commit)}^{tree}`;
    await mustRun(source, ['read-tree', commit], { env, timeoutMs: CHECKOUT_TIMEOUT_MS });
    await mustRun(source, ['checkout-index', '--all', '--force', '--quiet'], {
      env,
      timeoutMs: CHECKOUT_TIMEOUT_MS,
      cwd: source.into,
    });
  } finally {
    await rm(index, { force: true });
    await rm(`${index}.lock`, { force: true });
  }
}

/** The id of the tree at a path (`''` or `.` is the root); undefined when there is none. Equal id, equal content. */
export async function treeId(source: SourceAt & { path: string }): Promise<string | undefined> {
  const object = await run(source, ['rev-parse', '--verify', '--quiet', objectAt(source)]);
  if (object.code !== 0) return undefined;
  const id = object.stdout.toString('utf8').trim();
  const type = await run(source, ['cat-file', '-t', id]);
  return type.stdout.toString('utf8').trim() === 'tree' ? id : undefined;
}

/** A file's content; undefined when there is none at that path. Larger than the bound (default 1 MB) is an error. */
export async function readFile(
  source: SourceAt & { path: string; sizeMaxBytes?: number },
): Promise<Buffer | undefined> {
  const size = await run(source, ['cat-file', '-s', `${objectAt(source)}`]);
  if (size.code !== 0) return undefined;
  const bound = source.sizeMaxBytes ?? 1024 * 1024;
  const sizeBytes = Number(size.stdout.toString('utf8'));
  if (sizeBytes > bound) throw tooLarge(source.path, sizeBytes, bound);
  const blob = await run(source, ['cat-file', 'blob', objectAt(source)]);
  return blob.code === 0 ? blob.stdout : undefined;
}

/** How files differ between two commits, as git prints it; the commits' own attributes and the machine's settings change nothing about that. */
export async function diffFiles(
  source: SourceAt & { from: string; paths: readonly string[] },
): Promise<string> {
  if (source.paths.length === 0) return '';
  const options = ['--no-color', '--no-ext-diff', '--no-textconv', '--no-renames', '--text', '--unified=3'];
  const paths = source.paths.map((path) => `:(literal)${normalize(path)}`);
  const commits = [checked(source.from), checked(source.commit)];
  const { stdout } = await mustRun(source, ['diff', ...options, ...commits, '--', ...paths]);
  return stdout.toString('utf8');
}

/** All files at or below a path, as paths from the root, sorted by git. Submodules are not listed. */
export async function listFiles(source: SourceAt & { path: string }): Promise<string[]> {
  const entries = await listEntries(source);
  return entries.filter(({ type }) => type === 'blob').map(({ path }) => path);
}

export interface TreeEntry {
  readonly mode: string;
  readonly type: 'blob' | 'commit';
  readonly id: string;
  /** Bytes of a blob. */
  readonly size: number;
  readonly path: string;
}

export async function listEntries(source: SourceAt & { path: string }): Promise<TreeEntry[]> {
  const path = normalize(source.path);
  const args = ['ls-tree', '-r', '-l', '-z', '--full-tree', checked(source.commit)];
  const result = await mustRun(source, path === '' ? args : [...args, '--', `:(literal)${path}`]);
  return result.stdout
    .toString('utf8')
    .split('\0')
    .flatMap((line) => {
      const match = /^(\d+) (blob|commit) ([0-9a-f]+) +(\d+|-)\t(.*)$/s.exec(line);
      if (!match) return [];
      const [, mode = '', type, id = '', size, name = ''] = match;
      const kind = type === 'commit' ? ('commit' as const) : ('blob' as const);
      return [{ mode, type: kind, id, size: Number(size) || 0, path: name }];
    });
}

function objectAt({ commit, path }: { commit: string; path: string }): string {
  return `${checked(commit)}:${normalize(path)}`;
}

/** `./api/`, `api` and `/api` are the same; nothing leads out of the tree, because git has no `..` in trees. */
function normalize(path: string): string {
  return path
    .split('/')
    .filter((part) => part !== '' && part !== '.')
    .join('/');
}

function checked(commit: string): string {
  if (isObjectId(commit)) return commit;
  throw new ForgeError({
    code: 'commit-gone',
    message: `${JSON.stringify(commit.slice(0, 80))} is not a full commit id.`,
  });
}

interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
  readonly cwd?: string;
}

function run(
  { git, mirror, signal }: SourceAt,
  args: readonly string[],
  options: RunOptions = {},
): Promise<GitResult> {
  return runGit({
    git,
    signal,
    args: [`--git-dir=${mirror}`, ...args],
    timeoutMs: options.timeoutMs ?? SHORT_MS,
    ...(options.env === undefined ? {} : { env: options.env }),
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
}

async function mustRun(
  source: SourceAt,
  args: readonly string[],
  options: RunOptions = {},
): Promise<GitResult> {
  const result = await run(source, args, options);
  if (result.code === 0) return result;
  const tail = result.stderr
    .split('\n')
    .filter((line) => line.trim() !== '')
    .slice(-10);
  const unknown = /not a tree object|bad object|not a valid object|unknown revision/i.test(result.stderr);
  throw new ForgeError({
    code: unknown ? 'commit-gone' : 'forge-rejected',
    message: unknown
      ? `The commit ${source.commit} is not in the project's mirror.`
      : `git ${args[0]} failed for ${source.commit}: ${tail.at(-1) ?? `exit code ${result.code}`}`,
    hint: unknown ? 'Fetch it first.' : 'Check that the disk is not full.',
    tail,
  });
}

function tooLarge(path: string, sizeBytes: number, bound: number): ForgeError {
  return new ForgeError({
    code: 'forge-rejected',
    message: `${path} is ${sizeBytes} bytes long; at most ${bound} are read.`,
    hint: 'Make the file smaller.',
  });
}
