import { GithubError, invalid } from '../github-error.ts';
import { presentFullPull, presentLabel } from '../present/pull.ts';
import type { Pull, Repository } from '../state.ts';
import { bareOf, findRepository, now, repositoryById, userOf, type World } from '../world.ts';
import { emit } from './emit.ts';
import { noticeRefs, publishHead } from './notice-refs.ts';

export async function emitPull(
  world: World,
  repository: Repository,
  pull: Pull,
  action: string,
  sender: string,
  more: Record<string, unknown> = {},
): Promise<void> {
  world.file.save();
  const payload = {
    number: pull.number,
    pull_request: await presentFullPull(world, repository, pull),
    ...more,
  };
  emit(world, repository, { event: 'pull_request', action, sender, payload });
}

/** Recomputes the test merge: `refs/pull/N/merge`, which exists only while the branches do not conflict. */
export async function refreshMerge(world: World, repository: Repository, pull: Pull): Promise<void> {
  const bare = bareOf(world, repository);
  const base = (await bare.resolve(`heads/${pull.baseRef}`)) ?? pull.baseSha;
  const tree = await bare.mergeTree(base, pull.headSha);
  const ref = `refs/pull/${pull.number}/merge`;
  if (tree) {
    pull.mergeCommitSha = await bare.commitTree(
      tree,
      [base, pull.headSha],
      `Merge ${pull.headSha} into ${base}`,
    );
    await bare.updateRef(ref, pull.mergeCommitSha, 'any');
  } else {
    pull.mergeCommitSha = null;
    await bare.deleteRef(ref);
  }
  world.file.save();
}

export interface NewPull {
  /** `branch`, or `owner:branch` for a fork. */
  head: string;
  base: string;
  title: string;
  body: string | null;
  user: string;
  draft: boolean;
}

export async function openPull(world: World, repository: Repository, wanted: NewPull): Promise<Pull> {
  return world.exclusively(repository, async () => {
    const { head, branch } = headOf(world, repository, wanted.head);
    const headSha = await bareOf(world, head).resolve(`heads/${branch}`);
    if (!headSha) throw invalid('PullRequest', 'head', 'invalid');
    const baseSha = await bareOf(world, repository).resolve(`heads/${wanted.base}`);
    if (!baseSha) throw invalid('PullRequest', 'base', 'invalid');
    refuseDuplicate(repository, head, branch, wanted.base);
    const pull = newPull(world, repository, wanted, { head, branch, headSha, baseSha });
    await publishHead(world, head, repository, pull);
    if (await bareOf(world, repository).isAncestor(headSha, baseSha)) {
      throw custom(`No commits between ${wanted.base} and ${branch}`);
    }
    repository.nextNumber += 1;
    repository.pulls.push(pull);
    await refreshMerge(world, repository, pull);
    await emitPull(world, repository, pull, 'opened', wanted.user);
    return pull;
  });
}

function headOf(world: World, repository: Repository, head: string): { head: Repository; branch: string } {
  const colon = head.indexOf(':');
  if (colon < 0) return { head: repository, branch: head };
  const owner = head.slice(0, colon);
  const branch = head.slice(colon + 1);
  if (owner.toLowerCase() === repository.owner.toLowerCase()) return { head: repository, branch };
  const fork =
    world.state.repositories.find(
      (other) => other.parentId === repository.id && other.owner.toLowerCase() === owner.toLowerCase(),
    ) ?? findRepository(world, `${owner}/${repository.name}`);
  if (!fork) throw invalid('PullRequest', 'head', 'invalid');
  return { head: fork, branch };
}

function refuseDuplicate(repository: Repository, head: Repository, branch: string, base: string): void {
  const twin = repository.pulls.find(
    (pull) =>
      pull.state === 'open' &&
      pull.headRepositoryId === head.id &&
      pull.headRef === branch &&
      pull.baseRef === base,
  );
  if (twin) throw custom(`A pull request already exists for ${head.owner}:${branch}.`);
}

function custom(message: string): GithubError {
  return new GithubError(422, 'Validation Failed', {
    errors: [{ resource: 'PullRequest', code: 'custom', message }],
  });
}

function newPull(
  world: World,
  repository: Repository,
  wanted: NewPull,
  at: { head: Repository; branch: string; headSha: string; baseSha: string },
): Pull {
  const time = now();
  return {
    id: world.file.nextId(),
    number: repository.nextNumber,
    state: 'open',
    title: wanted.title,
    body: wanted.body,
    user: userOf(world, wanted.user).login,
    draft: wanted.draft,
    labels: [],
    headRepositoryId: at.head.id,
    headOwner: at.head.owner,
    headRef: at.branch,
    headSha: at.headSha,
    baseRef: wanted.base,
    baseSha: at.baseSha,
    createdAt: time,
    updatedAt: time,
    closedAt: null,
    mergedAt: null,
    mergedBy: null,
    mergeCommitSha: null,
  };
}

export async function closePull(world: World, repository: Repository, pull: Pull, by: string): Promise<void> {
  if (pull.state === 'closed') return;
  const time = now();
  Object.assign(pull, { state: 'closed', closedAt: time, updatedAt: time });
  await emitPull(world, repository, pull, 'closed', by);
}

export async function reopenPull(
  world: World,
  repository: Repository,
  pull: Pull,
  by: string,
): Promise<void> {
  if (pull.state === 'open') return;
  if (pull.mergedAt) throw custom('state cannot be changed. The pull request cannot be reopened.');
  await world.exclusively(repository, async () => {
    const head = repositoryById(world, pull.headRepositoryId);
    const sha = head && (await bareOf(world, head).resolve(`heads/${pull.headRef}`));
    if (!head || !sha) {
      throw custom(`state cannot be changed. The ${pull.headRef} branch has been deleted.`);
    }
    Object.assign(pull, { state: 'open', closedAt: null, updatedAt: now(), headSha: sha });
    await publishHead(world, head, repository, pull);
    await refreshMerge(world, repository, pull);
    await emitPull(world, repository, pull, 'reopened', by);
  });
}

export interface MergeOptions {
  by: string;
  method: 'merge' | 'squash';
  deleteBranch: boolean;
  title?: string | undefined;
  /** GitHub refuses the merge when the head is elsewhere by now. */
  expectedHead?: string | undefined;
}

/** A real merge commit on the base branch. Returns its sha. */
export async function mergePull(
  world: World,
  repository: Repository,
  pull: Pull,
  options: MergeOptions,
): Promise<string> {
  return world.exclusively(repository, async () => {
    if (pull.state !== 'open' || pull.draft) throw new GithubError(405, 'Pull Request is not mergeable');
    if (options.expectedHead && options.expectedHead !== pull.headSha) {
      throw new GithubError(409, 'Head branch was modified. Review and try the merge again.');
    }
    const bare = bareOf(world, repository);
    const base = await bare.resolve(`heads/${pull.baseRef}`);
    const tree = base && (await bare.mergeTree(base, pull.headSha));
    if (!base || !tree) throw new GithubError(405, 'Pull Request is not mergeable');
    const squash = options.method === 'squash';
    const subject = squash
      ? `${pull.title} (#${pull.number})`
      : `Merge pull request #${pull.number} from ${pull.headOwner}/${pull.headRef}`;
    const message = options.title ?? (squash ? subject : `${subject}\n\n${pull.title}`);
    const sha = await bare.commitTree(tree, squash ? [base] : [base, pull.headSha], message);
    await bare.updateRef(`refs/heads/${pull.baseRef}`, sha, base);
    await finishMerge(world, repository, pull, { sha, by: options.by });
    await noticeRefs(world, repository, options.by);
    if (options.deleteBranch && pull.headRepositoryId === repository.id) {
      await bare.deleteRef(`refs/heads/${pull.headRef}`);
      await noticeRefs(world, repository, options.by);
    }
    return sha;
  });
}

export async function finishMerge(
  world: World,
  repository: Repository,
  pull: Pull,
  merge: { sha: string; by: string },
): Promise<void> {
  const time = now();
  Object.assign(pull, {
    state: 'closed',
    closedAt: time,
    updatedAt: time,
    mergedAt: time,
    mergedBy: merge.by,
    mergeCommitSha: merge.sha,
  });
  await emitPull(world, repository, pull, 'closed', merge.by);
}

export async function addLabels(
  world: World,
  repository: Repository,
  pull: Pull,
  labels: readonly string[],
  by: string,
): Promise<void> {
  for (const name of labels) {
    if (pull.labels.includes(name)) continue;
    pull.labels.push(name);
    pull.updatedAt = now();
    await emitPull(world, repository, pull, 'labeled', by, { label: presentLabel(world, repository, name) });
  }
}

export async function removeLabel(
  world: World,
  repository: Repository,
  pull: Pull,
  name: string,
  by: string,
): Promise<void> {
  if (!pull.labels.includes(name)) throw new GithubError(404, 'Label does not exist');
  pull.labels = pull.labels.filter((label) => label !== name);
  pull.updatedAt = now();
  await emitPull(world, repository, pull, 'unlabeled', by, { label: presentLabel(world, repository, name) });
}

export async function setDraft(
  world: World,
  repository: Repository,
  pull: Pull,
  draft: boolean,
  by: string,
): Promise<void> {
  if (pull.draft === draft) return;
  Object.assign(pull, { draft, updatedAt: now() });
  await emitPull(world, repository, pull, draft ? 'converted_to_draft' : 'ready_for_review', by);
}

/** Title, body and base; one `edited` event that says what was there before. */
export async function editPull(
  world: World,
  repository: Repository,
  pull: Pull,
  edit: { title?: string | undefined; body?: string | null | undefined; base?: string | undefined },
  by: string,
): Promise<void> {
  const changes: Record<string, unknown> = {};
  if (edit.title !== undefined && edit.title !== pull.title) {
    changes.title = { from: pull.title };
    pull.title = edit.title;
  }
  if (edit.body !== undefined && edit.body !== pull.body) {
    changes.body = { from: pull.body ?? '' };
    pull.body = edit.body;
  }
  if (edit.base !== undefined && edit.base !== pull.baseRef) {
    const sha = await bareOf(world, repository).resolve(`heads/${edit.base}`);
    if (!sha) throw invalid('PullRequest', 'base', 'invalid');
    changes.base = { ref: { from: pull.baseRef }, sha: { from: pull.baseSha } };
    Object.assign(pull, { baseRef: edit.base, baseSha: sha });
    await refreshMerge(world, repository, pull);
  }
  if (Object.keys(changes).length === 0) return;
  pull.updatedAt = now();
  await emitPull(world, repository, pull, 'edited', by, { changes });
}
