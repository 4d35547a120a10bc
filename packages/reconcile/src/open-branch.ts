import { BoughError } from '@bough/domain/bough-error';
import { type BranchOf, branchNameProblem } from '@bough/domain/branch-of';
import type { Clock } from '@bough/domain/clock';
import type { Environment } from '@bough/domain/environment';
import { environmentSlug } from '@bough/domain/names';
import { parseSubject } from '@bough/domain/subject';
import type { Forge } from '@bough/forge/forge';
import { type AskedBranch, askForBranch } from '@bough/store/branches';
import { findDeployment, wasDeployed } from '@bough/store/deployments';
import { findLivingEnvironment } from '@bough/store/environments';
import type { Project } from '@bough/store/projects';
import { findSnapshot, newestFrozenSnapshot } from '@bough/store/snapshots';
import type pg from 'pg';
import { repositoryOf } from './observe.ts';
import { subjectSlug } from './subject-slug.ts';

export interface BranchContext {
  readonly pool: pg.Pool;
  readonly forge: Forge;
  readonly clock: Clock;
}

export interface BranchWish {
  readonly name: string;
  /** `production`, `pr-7`, or another branch. */
  readonly from: string;
  /** A whole commit id, or the beginning of one. Absent: what the source runs. */
  readonly commit?: string | undefined;
  readonly data: 'golden' | 'none';
  readonly seconds: number;
  readonly askedBy: string;
}

export interface OpenedBranch {
  readonly requestId: string;
  readonly subject: string;
  readonly slug: string;
  readonly commit: string;
  readonly branchOf: BranchOf;
  readonly expiresAt: Date;
}

/**
 * Asks for an environment for a bug, without a pull request. All that it will be made of is decided here, so that whoever
 * asks is told at once what cannot be: the rest is the way of every preview.
 */
export async function openBranch(
  context: BranchContext,
  project: Project,
  wish: BranchWish,
  signal?: AbortSignal,
): Promise<OpenedBranch> {
  const problem = branchNameProblem(wish.name);
  if (problem !== undefined)
    throw refusal(
      'branch-name',
      `"${wish.name}" cannot be a branch: ${problem}.`,
      'Say another name: checkout, bug-1234.',
    );
  const source = await findSource(context, project, wish.from);
  const commit = await findCommit(context, project, { source, id: wish.commit, signal });
  const branchOf = {
    from: source.subject,
    data: wish.data,
    snapshotId: wish.data === 'none' ? null : await goldenOf(context, project, source),
  };
  const subject = `branch/${wish.name}`;
  const slug = environmentSlug(subjectSlug({ kind: 'branch', branch: wish.name }), project.slug);
  const expiresAt = new Date(context.clock.now().getTime() + wish.seconds * 1_000);
  const order = { branchOf, commit, expiresAt: expiresAt.toISOString() };
  const asked = await askForBranch(context.pool, {
    ...{ projectId: project.id, subject, slug, order, askedBy: wish.askedBy },
  });
  if (asked.kind !== 'asked') throw taken(wish.name, asked);
  return { requestId: asked.request.id, subject, slug, commit, branchOf, expiresAt };
}

interface Source {
  readonly subject: string;
  /** Absent: production that does not run here, or not yet. */
  readonly environment?: Environment;
}

async function findSource({ pool }: BranchContext, project: Project, from: string): Promise<Source> {
  const [, number] = /^(?:pr-|pull\/)(\d{1,10})(?:--.*)?$/.exec(from) ?? [];
  const name = from.replace(/^branch\//, '').replace(new RegExp(`--${project.slug}$`), '');
  const subject =
    from === 'production' || from === project.slug
      ? 'production'
      : number === undefined
        ? `branch/${name}`
        : `pull/${Number(number)}`;
  const found =
    parseSubject(subject) === undefined
      ? undefined
      : await findLivingEnvironment(pool, { projectId: project.id, subject });
  const environment = found?.desiredState === 'absent' ? undefined : found;
  if (environment === undefined) {
    if (subject === 'production') return { subject };
    throw refusal(
      'branch-source',
      `There is no environment ${from} in ${project.slug} to branch from.`,
      '`bough env list` shows those that there are; or branch from production.',
    );
  }
  if (environment.trust === 'untrusted')
    throw refusal(
      'branch-source',
      `${environment.slug} runs the code of a fork, which nobody may put beside production’s data.`,
      'Branch from production, or look at the fork’s own preview.',
    );
  return { subject, environment };
}

/** What the source serves, or else is to run; or what was named, if it is this repository's own. */
async function findCommit(
  context: BranchContext,
  project: Project,
  of: { source: Source; id: string | undefined; signal: AbortSignal | undefined },
): Promise<string> {
  const { pool, forge } = context;
  const { source, id, signal } = of;
  const repository = repositoryOf(project);
  if (id === undefined) {
    const { environment } = source;
    const serving = environment?.releaseDeploymentId ?? null;
    const deployment = serving === null ? undefined : await findDeployment(pool, serving);
    const runs = deployment?.commit ?? environment?.desiredCommit;
    if (runs !== undefined && runs !== null) return runs;
    const head = await forge.readBranch(repository, project.defaultBranch, signal);
    if (head !== 'gone') return head.commit;
    throw refusal(
      'branch-commit',
      `The default branch ${project.defaultBranch} of ${project.owner}/${project.name} is gone, so there is no code to take.`,
      'Say which with --commit.',
    );
  }
  const located = /^[0-9a-f]{7,64}$/.test(id)
    ? await forge.locateCommit(repository, { id, branch: project.defaultBranch }, signal)
    : 'gone';
  if (located === 'gone')
    throw refusal(
      'branch-commit',
      `${project.owner}/${project.name} has no commit ${id.slice(0, 80)}.`,
      'Give a commit id of at least 7 digits that was pushed: git log --format=%H',
    );
  const { commit, isInBranch } = located;
  // The forge also shows what exists in forks alone: that is nobody's code whom anybody let in.
  if (isInBranch || (await wasDeployed(pool, { projectId: project.id, commit, trust: 'trusted' })))
    return commit;
  throw refusal(
    'branch-commit',
    `${commit.slice(0, 7)} is neither in ${project.defaultBranch} nor did a preview of this repository’s own pull requests run it, so it may be a fork’s.`,
    'Open a pull request for it, or merge it first.',
  );
}

/** The golden that the source came from, or null for production's newest. Throws when there is none. */
async function goldenOf(
  { pool }: BranchContext,
  project: Project,
  { subject, environment }: Source,
): Promise<string | null> {
  const hint = `Make one (bough data refresh ${project.slug}), or branch without data: --data none.`;
  if (subject === 'production') {
    const newest = await newestFrozenSnapshot(pool, project.id);
    if (newest?.attestation !== null && newest !== undefined) return null;
    throw refusal('branch-data', `${project.slug} has no attested golden snapshot of production.`, hint);
  }
  const id = environment?.dataSnapshotId ?? null;
  const snapshot = id === null ? undefined : await findSnapshot(pool, id);
  if (snapshot?.state === 'frozen' && snapshot.attestation !== null) return snapshot.id;
  throw refusal(
    'branch-data',
    `${environment?.slug ?? subject} was not cloned from a golden snapshot, so there is none to branch.`,
    `Branch its code without data: --data none; or take production’s: --from production --commit ${environment?.desiredCommit?.slice(0, 10) ?? 'SHA'}.`,
  );
}

function taken(name: string, asked: Exclude<AskedBranch, { kind: 'asked' }>): BoughError {
  if (asked.kind === 'asked before')
    return conflict(
      `A branch ${name} was asked for already, by ${asked.by.askedBy}.`,
      'It comes within seconds: bough branch list',
    );
  if (asked.kind === 'address taken')
    return conflict(
      `${asked.by.slug} serves ${asked.by.host}, which is where a branch ${name} would be.`,
      'Say another name.',
    );
  const { slug, branchOf, desiredState } = asked.by;
  if (desiredState === 'absent')
    return conflict(`The branch ${name} is being removed.`, 'Ask again in a moment, or say another name.');
  return branchOf === null
    ? conflict(
        `${slug} is the environment of the git branch ${name}.`,
        `Say another name, or remove that first: bough env delete ${slug}`,
      )
    : conflict(
        `There is a branch ${name} already: ${slug}.`,
        `Say another name, or remove it first: bough branch delete ${name}`,
      );
}

function conflict(message: string, hint: string): BoughError {
  return refusal('conflict', message, hint);
}

function refusal(code: string, message: string, hint: string): BoughError {
  return new BoughError({ code, message, hint });
}
