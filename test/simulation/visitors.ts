import { askToWake, recordVisits } from '@bough/store/visits';
import type pg from 'pg';
import { currentJob, type SimProcess } from './process.ts';
import type { Scheduler } from './scheduler.ts';
import type { Machine } from './world/machine.ts';

/** People before the address of a preview. */
export interface Visitors {
  /** Somebody comes and waits a while for an answer. */
  visit(subject: string): void;
  /** Subjects whose visitors went away without an answer, of those who came since the last call. */
  takeUnanswered(): readonly string[];
}

export interface Gateway {
  readonly process: SimProcess;
  readonly pool: pg.Pool;
  /** What Postgres announces, as the worker hears it; lost when none lives. */
  readonly announceWake: (environmentId: string) => void;
}

/** While somebody waits the gateway asks again (apps/gateway/src/limits.ts). */
const AGAIN_MS = 2_000;
const PATIENCE_MS = 60_000;

export function createVisitors(of: {
  scheduler: Scheduler;
  watcher: pg.Client;
  machine: Machine;
  gateway: () => Gateway | undefined;
}): Visitors {
  const { scheduler, watcher, machine } = of;
  let unanswered: string[] = [];

  /** The gateway has its table in memory: reading it is no await of its own. */
  async function look(subject: string): Promise<'answered' | 'wait' | 'away'> {
    const { rows } = await watcher.query<{ id: string; state: string | null; port: number | null }>(
      `select e.id::text, r.state, r.target_port as port from environments e left join routes r on r.environment_id = e.id
       where e.subject = $1 and e.removed_at is null limit 1`,
      [subject],
    );
    const [route] = rows;
    if (route === undefined) return 'away';
    const isThere = route.port !== null && (await machine.listeningAt(route.port)) !== undefined;
    const isServed = route.state === 'serving' && isThere;
    if (isServed || route.state === 'asleep') ask(route.id, isServed);
    return isServed ? 'answered' : 'wait';
  }

  function ask(environmentId: string, isServed: boolean): void {
    const gateway = of.gateway();
    if (gateway?.process.isAlive !== true) return;
    const { process, pool, announceWake } = gateway;
    const at = new Date(scheduler.wall());
    const job = { id: -1, process, kind: 'visit', key: environmentId };
    const tell = async () => {
      if (isServed) return await recordVisits(pool, [{ environmentId, at }]);
      await askToWake(pool, environmentId);
      announceWake(environmentId);
    };
    // Postgres may be away: whoever waits is asked for again, and a visit less does no harm.
    void currentJob.run(job, tell).catch(() => {});
  }

  function wait(subject: string, until: number): void {
    scheduler.at(0, null, async () => {
      const seen = await look(subject);
      if (seen === 'answered') return;
      if (seen === 'away' || scheduler.now() >= until) return void unanswered.push(subject);
      scheduler.at(AGAIN_MS, null, () => wait(subject, until));
    });
  }

  return {
    visit: (subject) => wait(subject, scheduler.now() + PATIENCE_MS),
    takeUnanswered() {
      const subjects = unanswered;
      unanswered = [];
      return subjects;
    },
  };
}
