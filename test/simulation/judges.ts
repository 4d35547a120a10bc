import { phase } from '@bough/domain/environment';
import type { LockEvent } from './connections.ts';
import type { Coverage } from './coverage.ts';
import type { Change, Invariant, Rest, RestEnvironment, Row, Watched } from './invariant.ts';
import { currentJob } from './process.ts';
import { Violation } from './violation.ts';
import type { Deed, Witness } from './witness.ts';

/** Puts everything that happens before the invariants. */
export interface Judges extends Witness {
  lock(event: LockEvent): void;
  /** Rows may have changed since the last look. */
  stir(): void;
  /** What has changed since the last time, and what can be seen. */
  look(): Promise<void>;
  atRest(): Promise<void>;
  /** Ids of environments that are production. */
  production(): ReadonlySet<string>;
}

export function createJudges(
  invariants: readonly Invariant[],
  world: Omit<Watched, 'environments'>,
  coverage: Coverage,
): Judges {
  const environments = new Map<string, Row>();
  const watched: Watched = { ...world, environments };
  const verdict = (invariant: Invariant, text: string | undefined) => {
    if (text !== undefined) throw new Violation(invariant.name, text);
  };

  let isStirred = true;

  async function changes(): Promise<Change[]> {
    if (!isStirred) return [];
    isStirred = false;
    const { rows } = await watched.watcher.query<Change>(
      'with gone as (delete from simulation.changes returning *) select what, before, after from gone order by seq',
    );
    return rows;
  }

  async function look(): Promise<void> {
    for (const change of await changes()) {
      if (change.what === 'environments' && change.after !== null) {
        coverage.reached(phaseOf(change.after));
        environments.set(String(change.after.id), change.after);
      }
      for (const invariant of invariants) verdict(invariant, invariant.change?.(change, watched));
    }
    for (const invariant of invariants) verdict(invariant, invariant.look?.(watched));
  }

  return {
    look,
    production: () =>
      new Set([...environments].flatMap(([id, { kind }]) => (kind === 'production' ? [id] : []))),
    stir() {
      isStirred = true;
    },
    async does(deed: Deed) {
      const job = currentJob.getStore();
      await look();
      for (const invariant of invariants) verdict(invariant, await invariant.deed?.(deed, job, watched));
    },
    lock(event) {
      for (const invariant of invariants) verdict(invariant, invariant.lock?.(event, watched));
    },
    async atRest() {
      await look();
      const rest = await readRest(watched);
      for (const invariant of invariants) verdict(invariant, await invariant.atRest?.(rest, watched));
    },
  };
}

async function readRest(watched: Watched): Promise<Rest> {
  const { rows } = await watched.watcher.query<RestEnvironment>(
    `select e.id::text, e.subject, e.kind, e.desired_state as "desiredState", e.desired_commit as "desiredCommit",
       e.held_reason as "heldReason", e.generation::text, e.observed_generation::text as "observedGeneration",
       e.release_deployment_id::text as "releaseDeploymentId", e.removed_at as "removedAt", e.failure_code as "failureCode",
       d.commit as "releaseCommit",
       e.sleep_reason as "sleepReason", e.waiting_reason as "waitingReason", e.waiting_position as "waitingPosition",
       coalesce((select jsonb_agg(jsonb_build_object('state', state, 'deployment', deployment_id::text, 'port', target_port))
                 from routes r where r.environment_id = e.id), '[]') as routes
     from environments e left join deployments d on d.id = e.release_deployment_id order by e.id`,
  );
  return { environments: rows, workloads: await watched.workloads() };
}

function phaseOf(row: Row): string {
  return phase({
    desiredState: row.desired_state as 'running',
    heldReason: row.held_reason as string | null,
    generation: String(row.generation),
    observedGeneration: String(row.observed_generation),
    runningStep: row.running_step as string | null,
    failure: row.failure_code === null ? null : { code: '', message: '', hint: null, tail: [] },
    removedAt: row.removed_at === null ? null : new Date(0),
  });
}
