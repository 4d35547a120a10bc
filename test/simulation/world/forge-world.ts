import type { CheckReport, DeploymentReport, ParsedDelivery, PullRequest } from '@bough/forge/forge';

export const REPOSITORY_ID = 1;
/** In some histories there is another project: a mirror of the first one, whose `main` is the same, with pull requests of its own. */
export const MIRROR_ID = 3;
export const DEFAULT_BRANCH = 'main';
/** What a policy may ask for. */
export const LABEL = 'preview';

export interface SimPull {
  /** Unique among all repositories, so that a subject names one of them. */
  readonly number: number;
  /** The one that it is to be merged into. */
  readonly repository: number;
  readonly branch: string;
  state: 'open' | 'closed';
  merged: boolean;
  draft: boolean;
  labels: string[];
  updatedAt: number;
  /** When it last lost the label that makes previews. */
  unlabelledAt: number | null;
  base: string;
  head: string;
  /** All that it ever had, oldest first. */
  readonly heads: string[];
  /** The repository of the head; another id is a fork, null a fork that was deleted. */
  headRepository: number | null;
  title: string;
  /** When it was open, in simulated time; the last one may still be. */
  readonly openSpans: { readonly from: number; to: number | null }[];
}

export interface SimComment {
  readonly id: number;
  readonly number: number;
  readonly user: string;
  body: string;
  readonly at: number;
  /** When Bough last wrote it anew; people never do. */
  changedAt: number;
}

export interface SentDelivery {
  readonly id: number;
  readonly parsed: ParsedDelivery;
  readonly sentAt: number;
  failed: boolean;
}

/** The forge as it is: what people did, and what Bough said. It outlives everything. */
export interface ForgeWorld {
  owner: string;
  name: string;
  /** Ids of those that Bough serves. */
  readonly repositories: number[];
  readonly branches: Map<string, string>;
  /** All that the default branch ever was. */
  readonly mainCommits: string[];
  readonly pulls: Map<number, SimPull>;
  readonly comments: Map<number, SimComment>;
  readonly reactions: Map<string, number>;
  /** By commit and name. */
  readonly checks: Map<string, { id: string; report: CheckReport }>;
  readonly deployments: Map<string, { marker: string | undefined; report: DeploymentReport }>;
  readonly permissions: ReadonlyMap<string, 'admin' | 'write' | 'read' | 'none'>;
  readonly deliveries: SentDelivery[];
  /** Who said that a commit of a fork may run, rightly or not; by comment or by the button of the check. */
  readonly approvals: { readonly number: number; readonly commit: string; readonly user: string }[];
  /** Pull requests whose comment of ours somebody deleted: we may not have heard of it. */
  readonly bereft: Set<number>;
  nextId(): number;
}

/** Comments of Bough are this user's. */
export const BOUGH = 'bough[bot]';

export function createForgeWorld(repositories: readonly number[]): ForgeWorld {
  let ids = 100;
  return {
    owner: 'acme',
    name: 'shop',
    repositories: [...repositories],
    branches: new Map(),
    mainCommits: [],
    pulls: new Map(),
    comments: new Map(),
    reactions: new Map(),
    checks: new Map(),
    deployments: new Map(),
    permissions: new Map([
      ['ada', 'write'],
      ['bob', 'read'],
      ['eve', 'none'],
    ]),
    deliveries: [],
    approvals: [],
    bereft: new Set(),
    nextId() {
      ids += 1;
      return ids;
    },
  };
}

export function moveMain(world: ForgeWorld, commit: string): void {
  world.branches.set(DEFAULT_BRANCH, commit);
  world.mainCommits.push(commit);
}

export function toPullRequest(pull: SimPull, world: ForgeWorld): PullRequest {
  const { owner, name } = namesOf(world, pull.repository);
  return {
    number: pull.number,
    state: pull.state,
    merged: pull.merged,
    title: pull.title,
    author: 'ada',
    authorIsBot: false,
    url: `https://github.com/${owner}/${name}/pull/${pull.number}`,
    draft: pull.draft,
    labels: [...pull.labels],
    head: { branch: pull.branch, commit: pull.head, repositoryId: pull.headRepository },
    base: {
      branch: pull.base,
      commit: world.branches.get(pull.base) ?? pull.head,
      repositoryId: pull.repository,
    },
    updatedAt: new Date(pull.updatedAt),
  };
}

/** The mirror is never renamed. */
export function namesOf(world: ForgeWorld, repository: number): { owner: string; name: string } {
  const { owner, name } = world;
  return repository === MIRROR_ID ? { owner: 'acme', name: 'mirror' } : { owner, name };
}

/** Ours on a pull request, by the marker. */
export function ourComments(world: ForgeWorld, number: number): SimComment[] {
  return [...world.comments.values()].filter(
    (comment) => comment.number === number && comment.user === BOUGH,
  );
}
