import type { Environment } from '@bough/domain/environment';

/** What was asked of the world about one environment. */
export interface World {
  /**
   * Workloads of the release that serves: how many should run and how many do. `stale`: those of earlier releases that
   * still run. All 0 when there is no release.
   */
  readonly release: { readonly wanted: number; readonly running: number; readonly stale: number };
  readonly routesServing: boolean;
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
  | { readonly kind: 'remove' };

/** The pure function between desired state and the world. */
export function decide(row: Environment, world: World): Decision {
  if (row.removedAt !== null) return { kind: 'nothing' };
  if (row.desiredState === 'absent') return { kind: 'remove' };
  if (row.heldReason !== null)
    return row.generation === row.observedGeneration ? { kind: 'nothing' } : { kind: 'hold' };
  if (row.retryAt !== null && row.retryAt > world.now) {
    return { kind: 'wait', delayMs: row.retryAt.getTime() - world.now.getTime() };
  }
  if (row.generation !== row.observedGeneration)
    return row.desiredState === 'asleep' ? { kind: 'sleep' } : { kind: 'deploy' };
  if (row.desiredState === 'asleep' || row.releaseDeploymentId === null) return { kind: 'nothing' };
  const { wanted, running, stale } = world.release;
  const whole = running === wanted && stale === 0 && world.routesServing;
  return whole ? { kind: 'nothing' } : { kind: 'restore' };
}
