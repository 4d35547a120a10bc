import type { JobsOptions } from 'bullmq';

/** Names what to look at: an id, or ids joined by colons. */
export type Key = string;

/** `again`: the handler asked for another run. `later`: somebody else asked for a look at a later time. */
export type DelayedReason = 'again' | 'later';

export interface JobData {
  readonly key: Key;
  /** Set on a delayed look: when due it only enqueues the key. */
  readonly delayed?: true;
}

interface Job {
  readonly data: JobData;
  readonly options: JobsOptions;
}

/** Finished jobs are no record of anything: the store is. Failed ones are kept as a trace, a few. */
const retention = { attempts: 1, removeOnComplete: true, removeOnFail: { count: 100 } } as const;

/**
 * `keepLastIfActive`: without it an enqueue during a run is lost (measured, BullMQ 6.7, both backends).
 */
export function immediateJob(key: Key): Job {
  return {
    data: { key },
    options: { ...retention, deduplication: { id: `now ${key}`, keepLastIfActive: true } },
  };
}

/**
 * `reschedule` moves the one that waits. `replace` would do so too, but races: it can delete a job that was just
 * claimed (measured on the PostgreSQL backend).
 */
export function delayedJob(key: Key, delayMs: number, reason: DelayedReason): Job {
  return {
    data: { key, delayed: true },
    options: {
      ...retention,
      delay: Math.round(delayMs),
      deduplication: { id: `${reason} ${key}`, keepLastIfActive: true, reschedule: true },
    },
  };
}
