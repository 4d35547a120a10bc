import type { Environment } from '@bough/domain/environment';

/** What was asked of the world about one environment. */
export interface World {
  /**
   * Workloads of the release that serves: how many should run and how many do. `stale`: those of earlier releases that
   * still run. All 0 when there is no release.
   */
  readonly release: { readonly wanted: number; readonly running: number; readonly stale: number };
  readonly routesServing: boolean;
  /** The release in the row was verified, is of what is wanted, and its artifacts are there: it only has to be started. */
  readonly releaseIsWanted: boolean;
  readonly now: Date;
}

export type Decision =
  | { readonly kind: 'nothing' }
  | { readonly kind: 'wait'; readonly delayMs: number }
  | { readonly kind: 'hold' }
  /** Bring it to the desired commit. */
  | { readonly kind: 'deploy' }
  /** The release is decided and made, but something of it does not run (after a reboot), or earlier ones do (after a crash). */
  | { readonly kind: 'restore' }
  | { readonly kind: 'sleep' }
  /** What it runs is decided and made already: start it again. */
  | { readonly kind: 'wake' }
  | { readonly kind: 'remove' };

/** What is held keeps what it ran before, and that sleeps and wakes like any other: it has a place while it is awake. */
function decideHeld(row: Environment): Decision {
  if (row.generation === row.observedGeneration) return { kind: 'nothing' };
  if (row.releaseDeploymentId === null) return { kind: 'hold' };
  if (row.desiredState === 'asleep') return { kind: 'sleep' };
  return row.admittedAt === null && row.kind === 'preview' ? { kind: 'wake' } : { kind: 'hold' };
}

/** The pure function between desired state and the world. */
export function decide(row: Environment, world: World): Decision {
  if (row.removedAt !== null) return { kind: 'nothing' };
  if (row.desiredState === 'absent') return { kind: 'remove' };
  if (row.heldReason !== null) return decideHeld(row);
  if (row.retryAt !== null && row.retryAt > world.now) {
    return { kind: 'wait', delayMs: row.retryAt.getTime() - world.now.getTime() };
  }
  if (row.generation !== row.observedGeneration) {
    if (row.desiredState === 'asleep') return { kind: 'sleep' };
    return world.releaseIsWanted ? { kind: 'wake' } : { kind: 'deploy' };
  }
  if (row.desiredState === 'asleep' || row.releaseDeploymentId === null) return { kind: 'nothing' };
  const { wanted, running, stale } = world.release;
  const whole = running === wanted && stale === 0 && world.routesServing;
  return whole ? { kind: 'nothing' } : { kind: 'restore' };
}
