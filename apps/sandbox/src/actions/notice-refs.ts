import { presentPushedCommit } from '../present/commit.ts';
import type { Pull, Repository } from '../state.ts';
import { bareOf, fullName, now, type World } from '../world.ts';
import { emit } from './emit.ts';
import { emitPull, finishMerge, refreshMerge } from './pulls.ts';

const NO_COMMIT = '0000000000000000000000000000000000000000';
/** GitHub puts at most so many commits into one push payload. */
const MAX_PUSHED_COMMITS = 20;

interface RefMove {
  ref: string;
  before: string;
  after: string;
}

/**
 * Compares git's branches and tags with those whose events were sent, and does what GitHub does about the difference:
 * push, create and delete events, pull requests that follow their branch. However a ref moved (git push, the API, the
 * sandbox's own methods), this is the one place that notices. Call it inside `world.exclusively(repository)`.
 */
export async function noticeRefs(world: World, repository: Repository, sender: string): Promise<void> {
  const refs = await bareOf(world, repository).refs();
  const moves = movesBetween(repository.refs, refs);
  if (moves.length === 0) return;
  repository.refs = refs;
  repository.pushedAt = now();
  world.file.save();
  for (const move of moves) {
    await emitMove(world, repository, move, sender);
    if (move.ref.startsWith('refs/heads/')) await followBranch(world, repository, move, sender);
  }
}

function movesBetween(old: Record<string, string>, current: Record<string, string>): RefMove[] {
  const names = [...new Set([...Object.keys(old), ...Object.keys(current)])].sort();
  return names
    .map((ref) => ({ ref, before: old[ref] ?? NO_COMMIT, after: current[ref] ?? NO_COMMIT }))
    .filter((move) => move.before !== move.after);
}

async function emitMove(world: World, repository: Repository, move: RefMove, sender: string): Promise<void> {
  const created = move.before === NO_COMMIT;
  const deleted = move.after === NO_COMMIT;
  const named = {
    ref: move.ref.replace(/^refs\/(heads|tags)\//, ''),
    ref_type: move.ref.startsWith('refs/tags/') ? 'tag' : 'branch',
    pusher_type: 'user',
  };
  emit(world, repository, {
    event: 'push',
    action: null,
    sender,
    payload: await pushPayload(world, repository, move, sender),
  });
  if (created) {
    const payload = { ...named, master_branch: repository.defaultBranch, description: null };
    emit(world, repository, { event: 'create', action: null, sender, payload });
  }
  if (deleted) emit(world, repository, { event: 'delete', action: null, sender, payload: named });
}

async function pushPayload(world: World, repository: Repository, move: RefMove, sender: string) {
  const bare = bareOf(world, repository);
  const created = move.before === NO_COMMIT;
  const deleted = move.after === NO_COMMIT;
  const base = created ? repository.refs[`refs/heads/${repository.defaultBranch}`] : move.before;
  const known = base && base !== move.after && !deleted;
  const shas = known ? await bare.commitsBetween(base, move.after) : [];
  const commits = await Promise.all(
    shas.slice(-MAX_PUSHED_COMMITS).map((sha) => presentPushedCommit(world, repository, sha)),
  );
  const range = `${move.before.slice(0, 12)}...${move.after.slice(0, 12)}`;
  return {
    ref: move.ref,
    before: move.before,
    after: move.after,
    created,
    deleted,
    forced: !created && !deleted && !(await bare.isAncestor(move.before, move.after)),
    base_ref: null,
    compare: `${world.url}/${fullName(repository)}/compare/${range}`,
    commits,
    head_commit: deleted ? null : await presentPushedCommit(world, repository, move.after),
    pusher: { name: sender, email: null },
  };
}

async function followBranch(
  world: World,
  repository: Repository,
  move: RefMove,
  sender: string,
): Promise<void> {
  const branch = move.ref.slice('refs/heads/'.length);
  for (const base of world.state.repositories) {
    const followers = base.pulls.filter(
      (pull) => pull.state === 'open' && pull.headRepositoryId === repository.id && pull.headRef === branch,
    );
    if (followers.length === 0) continue;
    const follow = () => followHead(world, { head: repository, base, followers, move, sender });
    await (base === repository ? follow() : world.exclusively(base, follow));
  }
  if (move.after !== NO_COMMIT) await followBase(world, repository, branch, move, sender);
}

async function followHead(
  world: World,
  branch: { head: Repository; base: Repository; followers: Pull[]; move: RefMove; sender: string },
): Promise<void> {
  const { base, move, sender } = branch;
  for (const pull of branch.followers) {
    pull.updatedAt = now();
    if (move.after === NO_COMMIT) {
      // GitHub closes a pull request whose branch was deleted.
      Object.assign(pull, { state: 'closed', closedAt: now() });
      await emitPull(world, base, pull, 'closed', sender);
      continue;
    }
    if (pull.headSha === move.after) continue;
    pull.headSha = move.after;
    pull.baseSha = base.refs[`refs/heads/${pull.baseRef}`] ?? pull.baseSha;
    await publishHead(world, branch.head, base, pull);
    await refreshMerge(world, base, pull);
    await emitPull(world, base, pull, 'synchronize', sender, { before: move.before, after: move.after });
  }
}

/** `refs/pull/N/head` of the base repository: how a fork's commits can be fetched from it. */
export async function publishHead(
  world: World,
  head: Repository,
  base: Repository,
  pull: Pull,
): Promise<void> {
  const target = bareOf(world, base);
  const ref = `refs/pull/${pull.number}/head`;
  if (head === base) await target.updateRef(ref, pull.headSha, 'any');
  else await target.fetchFrom(bareOf(world, head), `+refs/heads/${pull.headRef}:${ref}`);
}

async function followBase(
  world: World,
  repository: Repository,
  branch: string,
  move: RefMove,
  sender: string,
): Promise<void> {
  const bare = bareOf(world, repository);
  for (const pull of repository.pulls) {
    if (pull.state !== 'open' || pull.baseRef !== branch) continue;
    // A branch that was merged by hand and pushed counts as merged.
    if (await bare.isAncestor(pull.headSha, move.after)) {
      await finishMerge(world, repository, pull, { sha: move.after, by: sender });
    } else {
      await refreshMerge(world, repository, pull);
    }
  }
}
