import { rm } from 'node:fs/promises';
import { GithubError } from '../github-error.ts';
import { presentUser } from '../present/user.ts';
import type { Repository } from '../state.ts';
import { bareOf, findRepository, fullName, now, userOf, type World } from '../world.ts';
import { emit } from './emit.ts';

export async function createRepository(
  world: World,
  wanted: { owner: string; name: string; private: boolean; defaultBranch: string; parent?: Repository },
): Promise<Repository> {
  if (!/^[\w.-]{1,100}$/.test(wanted.name) || !/^[\w-]{1,39}(\[bot\])?$/.test(wanted.owner)) {
    throw new GithubError(422, 'Repository creation failed.', {
      errors: [{ resource: 'Repository', code: 'invalid', field: 'name' }],
    });
  }
  if (findRepository(world, `${wanted.owner}/${wanted.name}`)) {
    throw new GithubError(422, 'Repository creation failed.', {
      errors: [
        {
          resource: 'Repository',
          code: 'custom',
          field: 'name',
          message: 'name already exists on this account',
        },
      ],
    });
  }
  const time = now();
  const repository: Repository = {
    id: world.file.nextId(),
    owner: userOf(world, wanted.owner).login,
    name: wanted.name,
    formerNames: [],
    private: wanted.private,
    defaultBranch: wanted.defaultBranch,
    parentId: wanted.parent?.id ?? null,
    createdAt: time,
    pushedAt: time,
    nextNumber: 1,
    hooks: [],
    permissions: { [wanted.owner.toLowerCase()]: 'admin', [world.tokenUser.toLowerCase()]: 'admin' },
    pulls: [],
    comments: [],
    statuses: [],
    checkRuns: [],
    deployments: [],
    refs: {},
  };
  await bareOf(world, repository).create(wanted.defaultBranch);
  world.state.repositories.push(repository);
  world.file.save();
  return repository;
}

/** The owner's fork, made with all branches when it is not there yet. */
export async function forkRepository(world: World, parent: Repository, owner: string): Promise<Repository> {
  const known = world.state.repositories.find(
    (other) => other.parentId === parent.id && other.owner.toLowerCase() === owner.toLowerCase(),
  );
  if (known) return known;
  const { name, defaultBranch } = parent;
  const fork = await createRepository(world, { owner, name, private: parent.private, defaultBranch, parent });
  await bareOf(world, fork).fetchFrom(bareOf(world, parent), '+refs/heads/*:refs/heads/*');
  fork.refs = await bareOf(world, fork).refs();
  return fork;
}

/** The id stays, the old name redirects, as at GitHub. */
export function renameRepository(
  world: World,
  repository: Repository,
  to: { owner: string; name: string },
  by: string,
): void {
  if (findRepository(world, `${to.owner}/${to.name}`)) throw new GithubError(422, 'Validation Failed');
  const from = { owner: repository.owner, name: repository.name };
  repository.formerNames.push(fullName(repository).toLowerCase());
  repository.name = to.name;
  repository.owner = userOf(world, to.owner).login;
  world.file.save();
  const moved = from.owner !== to.owner;
  const changes = moved
    ? { owner: { from: { user: presentUser(world, from.owner) } } }
    : { repository: { name: { from: from.name } } };
  emit(world, repository, {
    event: 'repository',
    action: moved ? 'transferred' : 'renamed',
    sender: by,
    payload: { changes },
  });
}

/** Pull requests from a deleted fork stay, with no head repository. */
export async function deleteRepository(world: World, repository: Repository, by: string): Promise<void> {
  emit(world, repository, { event: 'repository', action: 'deleted', sender: by, payload: {} });
  world.state.repositories = world.state.repositories.filter((other) => other !== repository);
  for (const other of world.state.repositories) {
    for (const pull of other.pulls) if (pull.headRepositoryId === repository.id) pull.headRepositoryId = null;
  }
  await rm(bareOf(world, repository).path, { recursive: true, force: true });
  world.file.save();
}
