import type { Deliveries } from './deliveries.ts';
import type { Random } from './random.ts';
import type { Visitors } from './visitors.ts';
import type { Commits, Content, PolicyName } from './world/commits.ts';
import {
  DEFAULT_BRANCH,
  type ForgeWorld,
  LABEL,
  moveMain,
  REPOSITORY_ID,
  type SimPull,
} from './world/forge-world.ts';

/** What people do on the forge. Each says in words what it did, or undefined when there was nothing to do. */
export interface People {
  /** Something at random. */
  act(): { event: string; text: string } | undefined;
  /** A commit on the default branch. */
  pushProduction(): string;
}

type Act = () => string | undefined;

/** A fork of whatever it is merged into. */
const FORK_ID = 2;
const PULLS_MAX = 3;
/** Things of one kind meet each other only in histories that are about them. */
const THEMES = [
  [],
  [],
  ['open a fork', 'approve by comment', 'approve by button', 'push', 'delete a fork'],
  ['comment sleep', 'comment wake', 'visit', 'push', 'comment keep'],
  ['comment sync', 'comment reset', 'push', 'push production', 'comment rebuild'],
  ['label', 'unlabel', 'draft', 'comment deploy', 'comment delete'],
] as const;
const THEME_WEIGHT = 8;
/** Much cannot be done while no pull request is open. */
const TRIES = 6;

export function createPeople(of: {
  random: Random;
  world: ForgeWorld;
  commits: Commits;
  deliveries: Deliveries;
  visitors: Visitors;
  policy: PolicyName;
  now: () => number;
}): People {
  const { random, world, commits, deliveries } = of;

  const pulls = (state: SimPull['state']) => [...world.pulls.values()].filter((pull) => pull.state === state);
  const one = (state: SimPull['state'], fits: (pull: SimPull) => boolean = () => true) => {
    const fitting = pulls(state).filter(fits);
    return fitting.length === 0 ? undefined : random.pick(fitting);
  };
  const newCommit = () => {
    const content: Content = random.chance(0.7) ? 'good' : random.pick(CONTENTS);
    return commits.make(content);
  };
  const tell = (pull: SimPull, action: string) => {
    pull.updatedAt = of.now();
    deliveries.send(pull.repository, 'pull_request', action, {
      kind: 'subjects',
      subjects: [`pull/${pull.number}`],
    });
  };
  const tellBranch = (repository: number, event: string, branch: string) =>
    deliveries.send(repository, event, null, { kind: 'subjects', subjects: [`branch/${branch}`] });
  const tellMain = () => {
    for (const repository of world.repositories)
      deliveries.send(repository, 'push', null, { kind: 'subjects', subjects: ['production'] });
  };
  const end = (pull: SimPull) => {
    pull.state = 'closed';
    const span = pull.openSpans.at(-1);
    if (span !== undefined) span.to = of.now();
  };

  const moveTo = (pull: SimPull, commit: string) => {
    pull.head = commit;
    pull.heads.push(commit);
  };

  function open(isFork: boolean): string | undefined {
    if (pulls('open').length >= PULLS_MAX) return undefined;
    const commit = newCommit();
    const number = world.pulls.size + 1;
    const repository = random.pick(world.repositories);
    const headRepository = isFork ? FORK_ID : repository;
    const branch = `change-${number}`;
    const pull: SimPull = {
      ...{ number, repository, branch, state: 'open', merged: false, draft: random.chance(0.2) },
      labels: of.policy === 'labelled' && random.chance(0.6) ? [LABEL] : [],
      ...{ base: DEFAULT_BRANCH, head: commit.id, heads: [commit.id], headRepository },
      ...{ title: `Change ${number}`, unlabelledAt: null, updatedAt: of.now() },
      openSpans: [{ from: of.now(), to: null }],
    };
    world.pulls.set(number, pull);
    if (!isFork) {
      world.branches.set(branch, commit.id);
      tellBranch(repository, 'push', branch);
    }
    tell(pull, 'opened');
    return `pull/${number}${repository === REPOSITORY_ID ? '' : ' of the mirror'} at ${commit.id.slice(0, 7)} (${commit.content})`;
  }

  function push(pull: SimPull): string {
    const commit = newCommit();
    moveTo(pull, commit.id);
    if (pull.headRepository === pull.repository) {
      world.branches.set(pull.branch, commit.id);
      tellBranch(pull.repository, 'push', pull.branch);
    }
    tell(pull, 'synchronize');
    return `pull/${pull.number} to ${commit.id.slice(0, 7)} (${commit.content})`;
  }

  function pushProduction(): string {
    const commit = newCommit();
    moveMain(world, commit.id);
    tellMain();
    return `main to ${commit.id.slice(0, 7)} (${commit.content})`;
  }

  /** Who may write here, and who may not. */
  const somebody = () => random.pick(['ada', 'ada', 'ada', 'bob', 'eve']);

  function write(pull: SimPull, user: string, body: string): string {
    const id = world.nextId();
    world.comments.set(id, { id, number: pull.number, user, body, at: of.now(), changedAt: of.now() });
    const subject = `pull/${pull.number}`;
    deliveries.send(pull.repository, 'issue_comment', 'created', {
      kind: 'comment',
      subject,
      body,
      user,
      commentId: id,
    });
    return `${user} writes "${body}" on ${subject}`;
  }

  function comment(body: string): Act {
    return () => {
      const pull = random.chance(0.8) ? one('open') : one('closed');
      return pull && write(pull, somebody(), body);
    };
  }

  /** Mostly of the newest commit; some look at what was pushed over meanwhile. */
  function approve(by: 'comment' | 'button'): string | undefined {
    const pull = one('open', ({ headRepository, repository }) => headRepository !== repository);
    if (pull === undefined) return undefined;
    const commit = random.chance(0.8) ? pull.head : random.pick(pull.heads);
    const user = somebody();
    const subject = `pull/${pull.number}`;
    world.approvals.push({ number: pull.number, commit, user });
    if (by === 'comment') return write(pull, user, `/bough approve ${commit}`);
    const hint = { kind: 'action', subject, action: 'approve', commit, user } as const;
    deliveries.send(pull.repository, 'check_run', 'requested_action', hint);
    return `${user} presses the button for ${commit.slice(0, 7)} on ${subject}`;
  }

  const acts: Readonly<Record<string, { weight: number; act: Act }>> = {
    open: { weight: 5, act: () => open(false) },
    'open a fork': { weight: 1, act: () => open(true) },
    push: {
      weight: 8,
      act: () => {
        const pull = one('open', ({ headRepository }) => headRepository !== null);
        return pull && push(pull);
      },
    },
    'force-push back': {
      weight: 1,
      act: () => {
        const pull = one('open', ({ headRepository, repository }) => headRepository === repository);
        const main = world.branches.get(DEFAULT_BRANCH);
        if (pull === undefined || main === undefined) return undefined;
        moveTo(pull, main);
        world.branches.set(pull.branch, main);
        tell(pull, 'synchronize');
        return `pull/${pull.number} to main's ${main.slice(0, 7)}`;
      },
    },
    'push twice at once': {
      weight: 3,
      act: () => {
        const pull = one('open', ({ headRepository }) => headRepository !== null);
        return pull && `${push(pull)}, then ${push(pull)}`;
      },
    },
    retarget: {
      weight: 1,
      act: () => {
        const pull = one('open');
        if (pull === undefined) return undefined;
        pull.base = pull.base === DEFAULT_BRANCH ? 'release' : DEFAULT_BRANCH;
        tell(pull, 'edited');
        return `pull/${pull.number} to base ${pull.base}`;
      },
    },
    label: {
      weight: 1,
      act: () => {
        const pull = one('open', ({ labels }) => !labels.includes(LABEL));
        if (pull === undefined) return undefined;
        const label = random.chance(0.7) ? LABEL : `label-${pull.labels.length}`;
        pull.labels.push(label);
        tell(pull, 'labeled');
        return `${label} on pull/${pull.number}`;
      },
    },
    unlabel: {
      weight: 1,
      act: () => {
        const pull = one('open', ({ labels }) => labels.includes(LABEL));
        if (pull === undefined) return undefined;
        pull.labels = pull.labels.filter((label) => label !== LABEL);
        pull.unlabelledAt = of.now();
        tell(pull, 'unlabeled');
        return `${LABEL} off pull/${pull.number}`;
      },
    },
    draft: {
      weight: 1,
      act: () => {
        const pull = one('open');
        if (pull === undefined) return undefined;
        pull.draft = !pull.draft;
        tell(pull, pull.draft ? 'converted_to_draft' : 'ready_for_review');
        return `pull/${pull.number} is ${pull.draft ? 'a draft' : 'ready for review'}`;
      },
    },
    close: {
      weight: 4,
      act: () => {
        const pull = one('open');
        if (pull === undefined) return undefined;
        end(pull);
        tell(pull, 'closed');
        return `pull/${pull.number}`;
      },
    },
    reopen: {
      weight: 3,
      act: () => {
        const pull = one('closed', ({ merged, headRepository }) => !merged && headRepository !== null);
        if (pull === undefined) return undefined;
        pull.state = 'open';
        pull.openSpans.push({ from: of.now(), to: null });
        tell(pull, 'reopened');
        return `pull/${pull.number}`;
      },
    },
    merge: {
      weight: 2,
      act: () => {
        const pull = one('open', ({ base }) => base === DEFAULT_BRANCH);
        if (pull === undefined) return undefined;
        end(pull);
        pull.merged = true;
        moveMain(world, pull.head);
        tell(pull, 'closed');
        tellMain();
        return `pull/${pull.number}`;
      },
    },
    'delete branch': {
      weight: 1,
      act: () => {
        const pull = one('open', ({ headRepository, repository }) => headRepository === repository);
        if (pull === undefined) return undefined;
        end(pull);
        world.branches.delete(pull.branch);
        tellBranch(pull.repository, 'delete', pull.branch);
        tell(pull, 'closed');
        return `${pull.branch}, which closes pull/${pull.number}`;
      },
    },
    'delete a fork': {
      weight: 1,
      act: () => {
        const pull = one('open', ({ headRepository }) => headRepository === FORK_ID);
        if (pull === undefined) return undefined;
        pull.headRepository = null;
        tell(pull, 'edited');
        return `of pull/${pull.number}`;
      },
    },
    rename: {
      weight: 1,
      act: () => {
        world.name = `${world.name}x`;
        deliveries.send(REPOSITORY_ID, 'repository', 'renamed', { kind: 'repositories' });
        return `to ${world.name}`;
      },
    },
    transfer: {
      weight: 1,
      act: () => {
        world.owner = `${world.owner}x`;
        deliveries.send(REPOSITORY_ID, 'repository', 'transferred', { kind: 'repositories' });
        return `to ${world.owner}`;
      },
    },
    'approve by comment': { weight: 2, act: () => approve('comment') },
    'approve by button': { weight: 1, act: () => approve('button') },
    visit: {
      weight: 2,
      act: () => {
        const pull = one('open');
        if (pull === undefined) return undefined;
        of.visitors.visit(`pull/${pull.number}`);
        return `pull/${pull.number}`;
      },
    },
    'comment deploy': { weight: 1, act: comment('/bough deploy') },
    'comment rebuild': { weight: 1, act: comment('/bough rebuild') },
    'comment sync': { weight: 1, act: comment('/bough sync') },
    'comment reset': { weight: 1, act: comment('/bough reset') },
    'comment sleep': { weight: 1, act: comment('/bough sleep') },
    'comment wake': { weight: 1, act: comment('/bough wake') },
    'comment keep': { weight: 1, act: comment('/bough keep 2h') },
    'comment redeploy': { weight: 1, act: comment('/bough redeploy') },
    'comment delete': { weight: 1, act: comment('/bough delete') },
    'comment why': { weight: 1, act: comment('/bough why') },
    'comment help': { weight: 1, act: comment('/bough help') },
    'comment chat': { weight: 1, act: comment('Looks good to me.') },
    'delete our comment': {
      weight: 1,
      act: () => {
        const ours = [...world.comments.values()].filter(({ user }) => user === 'bough[bot]');
        if (ours.length === 0) return undefined;
        const comment_ = random.pick(ours);
        world.comments.delete(comment_.id);
        world.bereft.add(comment_.number);
        const subjects = [`pull/${comment_.number}`];
        const repository = world.pulls.get(comment_.number)?.repository ?? REPOSITORY_ID;
        deliveries.send(repository, 'issue_comment', 'deleted', { kind: 'subjects', subjects });
        return `on pull/${comment_.number}`;
      },
    },
    'push production': { weight: 3, act: pushProduction },
  };
  const theme: readonly string[] = random.pick(THEMES);
  const lots = Object.entries(acts).flatMap(([event, { weight }]) =>
    Array<string>(theme.includes(event) ? THEME_WEIGHT : weight).fill(event),
  );

  return {
    pushProduction,
    act() {
      for (let tries = 0; tries < TRIES; tries += 1) {
        const event = random.pick(lots);
        const what = acts[event]?.act();
        if (what !== undefined) return { event, text: `${event}: ${what}` };
      }
      return undefined;
    },
  };
}

const CONTENTS: readonly Content[] = [
  'without-service',
  'with-queue',
  'broken-build',
  'broken-manifest',
  'without-manifest',
  'broken-hook',
  'silent',
];
