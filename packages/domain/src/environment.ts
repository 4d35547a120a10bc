import type { BranchOf } from './branch-of.ts';

/** The row of an environment: facts only (DESIGN §5). Ids are decimal strings, times are Dates. */
export interface Environment {
  readonly id: string;
  readonly projectId: string;
  readonly installationId: string;
  readonly subject: string;
  readonly slug: string;
  readonly kind: 'production' | 'preview';
  /** `untrusted`: anybody may have written what it runs, so it gets no secret, no data and no network but its own. */
  readonly trust: 'trusted' | 'untrusted';
  readonly facts: SubjectFacts;
  readonly desiredState: 'running' | 'asleep' | 'absent';
  readonly desiredCommit: string | null;
  readonly policyCommit: string | null;
  readonly heldReason: string | null;
  readonly variablesRevision: string;
  readonly requestId: string | null;
  readonly generation: string;
  readonly observedGeneration: string;
  readonly lease: string;
  readonly runningStep: string | null;
  readonly waitingReason: string | null;
  readonly failure: Failure | null;
  readonly failures: number;
  readonly retryAt: Date | null;
  readonly releaseDeploymentId: string | null;
  readonly dataSnapshotId: string | null;
  readonly dataState: 'undecided' | 'empty' | 'cloned' | 'seeded' | 'own';
  readonly dataNote: string | null;
  /** Part of its volumes' names: the request that brought this data; '0' for the data of its first deployment. */
  readonly dataEpoch: string;
  /** The newest request for other data that was carried out or refused. */
  readonly dataAnsweredId: string | null;
  /** What was decided about a request for other data that is under way. */
  readonly dataPending: DataChange | null;
  /** The last visit of a person, some seconds late: the gateway tells of visits in batches. */
  readonly lastRequestAt: Date | null;
  /** When a branch's time is over; null for whatever goes with a pull request. */
  readonly expiresAt: Date | null;
  /** Not null: `bough branch` made it, there is no pull request, and the forge is told nothing about it. */
  readonly branchOf: BranchOf | null;
  /** The generation at which what it is made of changed last; sleep and wake change nothing of that. */
  readonly deployGeneration: string;
  readonly sleepReason: string | null;
  readonly idleSeconds: number | null;
  readonly expiresSeconds: number | null;
  /** Higher ones are admitted first and put to sleep last. */
  readonly priority: number;
  readonly keptUntil: Date | null;
  /** Since when it has a place among those that run; null while it has none. */
  readonly admittedAt: Date | null;
  readonly waitingSince: Date | null;
  readonly waitingPosition: number | null;
  /** Held for a reason that gets a check and no comment. */
  readonly heldQuiet: boolean;
  readonly createdAt: Date;
  readonly changedAt: Date;
  readonly removedAt: Date | null;
}

export interface DataChange {
  readonly requestId: string;
  readonly state: 'empty' | 'cloned';
  readonly snapshotId: string | null;
  readonly note: string;
}

export interface Failure {
  readonly code: string;
  readonly message: string;
  readonly hint: string | null;
  readonly tail: readonly string[];
}

/** What the subject looked like when it was last read: shown, or compared to know that it changed; never acted on. */
export interface SubjectFacts {
  readonly title?: string;
  readonly author?: string;
  readonly url?: string;
  readonly branch?: string;
  readonly number?: number;
  readonly baseBranch?: string;
  /** What the policy judged it by, beside its files: resync looks again where the forge lists others. */
  readonly labels?: readonly string[];
  readonly draft?: boolean;
  /** It is held until somebody approves its commit, which a button can do. */
  readonly approvable?: boolean;
  /** It is held because the forge did not tell whether its author may write: resync asks again. */
  readonly untold?: boolean;
  /** Since when the forge says that there is no such thing: not believed at once (ISO 8601). */
  readonly missingSince?: string;
}

export type Phase =
  | 'held'
  | 'queued'
  | 'building'
  | 'deploying'
  | 'ready'
  | 'asleep'
  | 'failed'
  | 'removing'
  | 'removed';

/** What people are shown. A pure function of the row: it is derived, never stored. */
export function phase(
  row: Pick<
    Environment,
    | 'desiredState'
    | 'heldReason'
    | 'generation'
    | 'observedGeneration'
    | 'runningStep'
    | 'failure'
    | 'removedAt'
  >,
): Phase {
  if (row.removedAt !== null) return 'removed';
  if (row.desiredState === 'absent') return 'removing';
  if (row.heldReason !== null) return 'held';
  // Also while its processes are being stopped. That its last deployment failed is worth more than that it sleeps.
  if (row.desiredState === 'asleep' && row.failure === null) return 'asleep';
  if (row.runningStep !== null) return BUILD_STEPS.has(row.runningStep) ? 'building' : 'deploying';
  if (row.failure !== null) return 'failed';
  if (row.generation !== row.observedGeneration) return 'queued';
  return 'ready';
}

const BUILD_STEPS: ReadonlySet<string> = new Set(['checkout', 'compile', 'build']);
