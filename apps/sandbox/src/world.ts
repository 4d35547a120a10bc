import { join } from 'node:path';
import type { GitCommand } from '@bough/forge/git/run-git';
import { BareRepository } from './git/bare-repository.ts';
import { notFound } from './github-error.ts';
import type { Hookshot } from './hookshot.ts';
import type { Pull, Repository, State, StateFile, User } from './state.ts';

/** What every part of the sandbox needs: the remembered facts, the repositories on disk, and who to tell. */
export interface World {
  readonly file: StateFile;
  readonly state: State;
  readonly home: string;
  readonly git: GitCommand;
  /** `http://127.0.0.1:4000`, no slash at the end. */
  readonly url: string;
  readonly apiUrl: string;
  /** The account that the personal token belongs to. */
  readonly tokenUser: string;
  readonly hookshot: Hookshot;
  /** One writer per repository: git moves refs one at a time, and events leave in the order of the moves. */
  exclusively<T>(repository: Repository, work: () => Promise<T>): Promise<T>;
  /** Resolves when nobody writes to a repository; `settled`, when the webhooks about it were answered too. */
  idle(): Promise<void>;
  settled(): Promise<void>;
}

export function now(): string {
  return new Date().toISOString().replace(/\.\d+Z$/, 'Z');
}

export function bareOf(world: World, repository: Repository): BareRepository {
  return new BareRepository(join(world.home, 'git', `${repository.id}.git`), world.git);
}

export function fullName(repository: Repository): string {
  return `${repository.owner}/${repository.name}`;
}

export function findRepository(world: World, name: string): Repository | undefined {
  const wanted = name.toLowerCase();
  return world.state.repositories.find((candidate) => fullName(candidate).toLowerCase() === wanted);
}

export function findFormerRepository(world: World, name: string): Repository | undefined {
  return world.state.repositories.find((candidate) => candidate.formerNames.includes(name.toLowerCase()));
}

export function repositoryOf(world: World, name: string): Repository {
  const repository = findRepository(world, name);
  if (!repository) throw notFound();
  return repository;
}

export function repositoryById(world: World, id: number | null): Repository | undefined {
  return world.state.repositories.find((candidate) => candidate.id === id);
}

export function pullOf(repository: Repository, number: number): Pull {
  const pull = repository.pulls.find((candidate) => candidate.number === number);
  if (!pull) throw notFound();
  return pull;
}

/** The account of that name; made when first mentioned. Names that end in `[bot]` are bots, as at GitHub. */
export function userOf(world: World, login: string, type?: User['type']): User {
  const known = world.state.users.find((user) => user.login.toLowerCase() === login.toLowerCase());
  if (known) return known;
  const user: User = {
    id: world.file.nextId(),
    login,
    type: type ?? (login.endsWith('[bot]') ? 'Bot' : 'User'),
  };
  world.state.users.push(user);
  world.file.save();
  return user;
}

export function appLogin(world: World): string {
  return `${world.state.app.slug}[bot]`;
}

/** One installation per owner, as at GitHub; made when first asked for. */
export function installationOf(world: World, owner: string): number {
  const { installations } = world.state.app;
  const key = owner.toLowerCase();
  installations[key] ??= world.file.nextId();
  return installations[key];
}
