import type { Coverage } from './coverage.ts';
import type { CrashPlan } from './faults.ts';
import { currentJob, type Job, type SimProcess } from './process.ts';
import type { Random } from './random.ts';
import type { Scheduler } from './scheduler.ts';
import { Violation } from './violation.ts';

/** What a process waits for outside of itself. */
export interface CallOptions {
  /** Shortest and longest time it takes, in milliseconds. */
  readonly takes?: readonly [number, number];
  /** Where it aborts, what is called is not done at all. */
  readonly signal?: AbortSignal | undefined;
  /** Nothing else comes in between: the statements inside a transaction, whose rows are locked. */
  readonly atOnce?: boolean;
}

export interface Calls {
  /**
   * Every await of the code under test on something outside: a statement, a driver, the forge, the queue. Here its name
   * is counted, others come in between, and its process may die: before it takes effect, or after it without hearing so.
   */
  call<Result>(
    process: SimProcess,
    name: string,
    work: () => Result | Promise<Result>,
    options?: CallOptions,
  ): Promise<Result>;
}

export function createCalls(of: {
  scheduler: Scheduler;
  random: Random;
  coverage: Coverage;
  crashes: CrashPlan;
  kill: (process: SimProcess, why: string) => void;
}): Calls {
  return {
    call(process, what, work, { takes = [0, 0], signal, atOnce = false } = {}) {
      if (!process.isAlive) return new Promise(() => {});
      const job = currentJob.getStore();
      const name = `${job?.kind ?? process.kind}: ${what}`;
      of.coverage.met(name);
      const crash = of.crashes.decide(name, process);
      return new Promise((resolve, reject) => {
        const act = () => currentJob.run(job as Job, attempt);
        const attempt = async () => {
          if (crash === 'before') return of.kill(process, `${name}, before it`);
          try {
            const result = await work();
            if (crash === 'after') return of.kill(process, `${name}, after it`);
            resolve(result);
          } catch (error) {
            if (error instanceof Violation) return of.scheduler.fail(error);
            if (crash === 'after') return of.kill(process, `${name}, after it failed`);
            reject(error);
          }
        };
        if (atOnce) return of.scheduler.track(act());
        const aborted = () => {
          timer.cancel();
          reject(signal?.reason);
        };
        const timer = of.scheduler.at(of.random.int(takes[0], takes[1]), process, () => {
          signal?.removeEventListener('abort', aborted);
          return act();
        });
        if (signal?.aborted === true) aborted();
        else signal?.addEventListener('abort', aborted, { once: true });
      });
    },
  };
}
