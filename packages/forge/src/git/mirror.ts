import { randomUUID } from 'node:crypto';
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { redact } from '@bough/domain/secret';
import { ForgeError } from '../forge-error.ts';
import type { GitAccess } from './git-access.ts';
import { lockMirror, type MirrorLock } from './mirror-lock.ts';
import { type GitCommand, type GitResult, runGit } from './run-git.ts';

export interface FetchIntoMirror {
  readonly git: GitCommand;
  /** The bare repository; made when absent. One per project. */
  readonly mirror: string;
  readonly url: string;
  /** Full object id. */
  readonly commit: string;
  /** Asked for only when there is something to fetch: making a token is a call of its own. */
  readonly access?: (() => Promise<GitAccess>) | undefined;
  /** The url came from a repository, not from us: only http and https. */
  readonly foreign?: boolean;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

const SHORT_MS = 30_000;

/**
 * Makes exactly one commit present, with its history. A commit that is there already costs no network and no lock.
 * Writers take turns, also those of other processes; what a killed one left behind is removed first. The url and the
 * credentials are written nowhere.
 */
export async function fetchIntoMirror(options: FetchIntoMirror): Promise<void> {
  if (!isObjectId(options.commit)) throw notACommit(options.commit);
  if (await hasCommit(options)) return;
  await mkdir(dirname(options.mirror), { recursive: true });
  const lock = await lockMirror(`${options.mirror}.lock`, options);
  try {
    if (await hasCommit(options)) return;
    await heal(options.mirror);
    await create(options);
    await fetchCommit(options, lock);
  } finally {
    await lock.release();
  }
}

interface MirrorAt {
  readonly git: GitCommand;
  readonly mirror: string;
  readonly signal?: AbortSignal | undefined;
}

/** Commits that were fetched into a mirror, each with its history. */
export async function fetchedCommits({ git, mirror, signal }: MirrorAt): Promise<string[]> {
  if (!(await isRepository(mirror))) return [];
  const args = [`--git-dir=${mirror}`, 'for-each-ref', '--format=%(refname:lstrip=3)', COMMIT_REFS];
  const { code, stdout, stderr } = await runGit({ git, args, timeoutMs: SHORT_MS, signal });
  if (code !== 0) throw broken(mirror, stderr);
  return stdout.toString('utf8').split('\n').filter(isObjectId);
}

const TRIM_MS = 30 * 60_000;

/**
 * Forgets every fetched commit that is not to be kept, and removes what belongs to none that is. What was fetched within
 * the hour stays on the disk, for whoever is reading it. Writers wait meanwhile.
 */
export async function trimMirror({
  git,
  mirror,
  keep,
  signal,
}: MirrorAt & { keep: ReadonlySet<string> }): Promise<void> {
  if (!(await isRepository(mirror))) return;
  const lock = await lockMirror(`${mirror}.lock`, { timeoutMs: TRIM_MS, signal });
  try {
    await heal(mirror);
    const doomed = (await fetchedCommits({ git, mirror, signal })).filter((commit) => !keep.has(commit));
    for (const commit of doomed) {
      const args = [`--git-dir=${mirror}`, 'update-ref', '-d', refOf(commit)];
      const { code, stderr } = await runGit({ git, args, timeoutMs: SHORT_MS, signal });
      if (code !== 0) throw broken(mirror, stderr);
    }
    const { code, stderr } = await runGit({
      ...{ git, signal, timeoutMs: TRIM_MS, onStart: (pid: number) => lock.recordChild(pid) },
      args: [`--git-dir=${mirror}`, 'gc', '--quiet', `--prune=${TRIM_GRACE}`],
    });
    if (code !== 0) throw broken(mirror, stderr);
  } finally {
    await lock.release();
  }
}

const TRIM_GRACE = '1.hour.ago';

export function isObjectId(text: string): boolean {
  return /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(text);
}

/** Whether the commit and its history were fetched whole: the ref is written last. */
async function hasCommit({ git, mirror, commit, signal }: FetchIntoMirror): Promise<boolean> {
  if (!(await isRepository(mirror))) return false;
  const ref = `${refOf(commit)}^{commit}`;
  const args = [`--git-dir=${mirror}`, 'rev-parse', '--verify', '--quiet', ref];
  const { code } = await runGit({ git, args, timeoutMs: SHORT_MS, signal });
  return code === 0;
}

/** Each fetched commit has a ref, so that no garbage collection takes it. */
function refOf(commit: string): string {
  return `${COMMIT_REFS}/${commit}`;
}

const COMMIT_REFS = 'refs/bough/commits';

async function isRepository(mirror: string): Promise<boolean> {
  const parts = ['HEAD', 'config', 'objects', 'refs'];
  const found = await Promise.all(
    parts.map((part) =>
      stat(join(mirror, part)).then(
        (entry) => entry.isDirectory() || entry.size > 0,
        () => false,
      ),
    ),
  );
  return !found.includes(false);
}

async function create({ git, mirror, signal }: FetchIntoMirror): Promise<void> {
  if (await isRepository(mirror)) return;
  const draft = `${mirror}.new-${randomUUID()}`;
  const args = ['init', '--quiet', '--bare', '--template=', '--initial-branch=main', draft];
  const result = await runGit({ git, args, timeoutMs: SHORT_MS, signal });
  if (result.code !== 0) throw broken(mirror, result.stderr);
  // What stands there is no repository (a power cut, a half-made copy); everything in it can be fetched again.
  await rm(mirror, { recursive: true, force: true });
  await rename(draft, mirror);
}

/** Removes what writers left that died: we hold the lock, and their git processes were ended before we got it. */
async function heal(mirror: string): Promise<void> {
  const siblings = await readdir(dirname(mirror)).catch(() => []);
  for (const name of siblings) {
    if (!name.startsWith(`${basename(mirror)}.new-`)) continue;
    await rm(join(dirname(mirror), name), { recursive: true, force: true });
  }
  await removeLocks(mirror, 0);
  const packs = join(mirror, 'objects', 'pack');
  for (const name of await readdir(packs).catch(() => [])) {
    if (name.startsWith('tmp_')) await rm(join(packs, name), { force: true });
  }
}

/** `*.lock` beside the refs, HEAD, config and packed-refs. Objects are not searched: they have no locks. */
async function removeLocks(directory: string, depth: number): Promise<void> {
  if (depth > 8) return;
  const entries = await readdir(directory, { withFileTypes: true }).catch(() => []);
  for (const entry of entries) {
    const path = join(directory, entry.name);
    if (entry.isFile() && entry.name.endsWith('.lock')) await rm(path, { force: true });
    else if (entry.isDirectory() && !(depth === 0 && entry.name === 'objects'))
      await removeLocks(path, depth + 1);
  }
  if (depth === 0) {
    for (const name of ['objects/info/commit-graph.lock', 'objects/info/alternates.lock', 'shallow.lock']) {
      await rm(join(directory, name), { force: true });
    }
  }
}

async function fetchCommit(options: FetchIntoMirror, lock: MirrorLock): Promise<void> {
  const { git, mirror, url, commit, signal } = options;
  const access = await options.access?.();
  const result = await runGit({
    git,
    access,
    signal,
    timeoutMs: options.timeoutMs,
    env: { ...(options.foreign ? { GIT_PROTOCOL_FROM_USER: '0' } : {}) },
    onStart: (pid) => lock.recordChild(pid),
    args: [
      `--git-dir=${mirror}`,
      'fetch',
      '--quiet',
      '--no-tags',
      '--no-write-fetch-head',
      '--no-auto-gc',
      '--end-of-options',
      url,
      `+${commit}:${refOf(commit)}`,
    ],
  });
  if (result.code !== 0) throw fetchError(options, result, access);
}

function fetchError(
  { url, commit }: FetchIntoMirror,
  result: GitResult,
  access: GitAccess | undefined,
): ForgeError {
  const said = redact(result.stderr, access?.secrets ?? []);
  const tail = said
    .split('\n')
    .filter((line) => line.trim() !== '')
    .slice(-10);
  const where = withoutUserinfo(url);
  if (
    /not our ref|unadvertised object|couldn't find remote ref|no such remote ref|did not contain/i.test(said)
  ) {
    return new ForgeError({
      code: 'commit-gone',
      message: `${where} no longer has the commit ${commit}.`,
      hint: 'It was force-pushed away or its branch was deleted; the next look at the subject finds the new head.',
      tail,
    });
  }
  if (
    /Authentication failed|could not read Username|returned error: 401|HTTP 401|returned error: 403/i.test(
      said,
    )
  ) {
    return new ForgeError({
      code: 'forge-unauthorized',
      message: `${where} does not let our credentials fetch source.`,
      hint: 'The App needs "Contents: read", a token the same on this repository.',
      tail,
    });
  }
  if (/repository .* not found|returned error: (?:404|30\d)|HTTP 404|redirect/i.test(said)) {
    return new ForgeError({
      code: 'forge-rejected',
      message: `There is no repository at ${where} for our credentials.`,
      hint: 'It was renamed, deleted, or is not covered by the App or the token.',
      tail,
    });
  }
  const fsck = /fsck error|error in object|did not pass/i.test(said);
  return new ForgeError({
    code: fsck ? 'forge-rejected' : 'forge-unreachable',
    message: fsck
      ? `${where} sent objects that git refuses: ${tail.at(-1)?.slice(0, 200) ?? ''}`
      : `Fetching ${commit} from ${where} failed: ${tail.at(-1)?.slice(0, 200) ?? `exit code ${result.code}`}`,
    hint: fsck
      ? 'The history holds a damaged or dangerous object; "git fsck" in a clone names it.'
      : 'Bough tries again by itself; check the network and the disk if it lasts.',
    retryable: !fsck,
    tail,
  });
}

export function withoutUserinfo(url: string): string {
  if (!URL.canParse(url)) return url.replace(/\/\/[^/@]*@/, '//');
  const parsed = new URL(url);
  parsed.username = '';
  parsed.password = '';
  return parsed.href;
}

function notACommit(commit: string): ForgeError {
  return new ForgeError({
    code: 'commit-gone',
    message: `${JSON.stringify(commit.slice(0, 80))} is not a full commit id.`,
    hint: 'Branches and short ids move; ask the forge for the commit first.',
  });
}

function broken(mirror: string, stderr: string): ForgeError {
  return new ForgeError({
    code: 'forge-rejected',
    message: `A mirror cannot be made at ${mirror}: ${stderr.trim().split('\n').at(-1) ?? ''}`,
    hint: 'Check that the disk is not full and that the directory belongs to the user who runs Bough.',
  });
}
