import type { Environment } from '@bough/domain/environment';
import type { Workload } from '@bough/engine/engine';
import type pg from 'pg';
import type { LockEvent } from './connections.ts';
import type { Job } from './process.ts';
import type { Deed } from './witness.ts';
import type { Size } from './world/capacity.ts';
import type { Commits } from './world/commits.ts';
import type { ForgeWorld } from './world/forge-world.ts';
import type { Disk } from './world/volumes.ts';

/** What an invariant may look at, without the simulation noticing. */
export interface Watched {
  /** Rows of environments by id, as they are just now. */
  readonly environments: ReadonlyMap<string, Row>;
  readonly now: () => number;
  readonly watcher: pg.Client;
  readonly forge: ForgeWorld;
  readonly disk: Disk;
  readonly commits: Commits;
  readonly size: Size;
  readonly workloads: () => Promise<Workload[]>;
}

/** Whose a thing is, and what it is for, as far as its labels say. */
export function labelsOf({ labels }: Deed): {
  readonly environmentId: string;
  readonly role?: string;
  readonly release?: string;
} {
  return labels;
}

/** A change of a row, in the order in which they came. */
export interface Change {
  readonly what: 'environments' | 'deployments' | 'snapshots';
  readonly before: Row | null;
  readonly after: Row | null;
}

/** A row as Postgres writes it as JSON: the columns' own names. */
export type Row = Readonly<Record<string, unknown>>;

/** The world when nothing moves any more. */
export interface Rest {
  readonly environments: readonly RestEnvironment[];
  readonly workloads: readonly Workload[];
}

export interface RestEnvironment
  extends Pick<
    Environment,
    | 'id'
    | 'subject'
    | 'kind'
    | 'desiredState'
    | 'desiredCommit'
    | 'heldReason'
    | 'generation'
    | 'observedGeneration'
    | 'releaseDeploymentId'
    | 'removedAt'
    | 'sleepReason'
    | 'waitingReason'
    | 'waitingPosition'
  > {
  readonly failureCode: string | null;
  readonly releaseCommit: string | null;
  readonly routes: readonly { state: string; deployment: string | null; port: number | null }[];
}

/**
 * A promise of the product. Each method says what is wrong, or nothing. `change`, `deed` and `lock` are called for each
 * of them, in order; `look` often; `atRest` at the end, when all that people did and all faults are over.
 */
export interface Invariant {
  readonly name: string;
  change?(change: Change, watched: Watched): string | undefined;
  deed?(deed: Deed, job: Job | undefined, watched: Watched): Promise<string | undefined>;
  lock?(event: LockEvent, watched: Watched): string | undefined;
  look?(watched: Watched): string | undefined;
  atRest?(rest: Rest, watched: Watched): Promise<string | undefined> | string | undefined;
}
