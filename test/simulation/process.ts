import { AsyncLocalStorage } from 'node:async_hooks';
import type { Owner } from './scheduler.ts';

/** A process of Bough. Dead, nothing of it ever goes on: what it waits for never comes, and its memory is forgotten. */
export interface SimProcess extends Owner {
  readonly name: string;
  readonly kind: 'server' | 'worker' | 'gateway';
  /** What the world does when it dies: locks fall, its jobs stall. */
  readonly onDeath: (() => void)[];
}

/** A piece of work of a process: a job of a queue, or a delivery that is received. */
export interface Job {
  readonly id: number;
  readonly process: SimProcess;
  /** `observe`, `reconcile`, `feedback`, `data`, `resync`, `wake`, `receive`, `visit`. */
  readonly kind: string;
  readonly key: string;
}

/** Its key is an environment's, whose lock it takes. */
export function isReconcile(job: Job | undefined): job is Job {
  return job?.kind === 'reconcile' || job?.kind === 'wake';
}

/** Who is at work: known at every call, without the code under test passing it on. */
export const currentJob = new AsyncLocalStorage<Job>();
