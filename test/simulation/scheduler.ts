import { type Clock, sleepOn, type Timer } from '@bough/domain/clock';
import type { Random } from './random.ts';

/** Whoever waits for something: a process of Bough. When it is dead nothing of it ever goes on. */
export interface Owner {
  isAlive: boolean;
}

/**
 * Everything that happens, one thing after the other, in simulated time. Code runs until all of it waits for something;
 * then the next event is taken. Ties are drawn by lot, which makes the interleavings.
 */
export interface Scheduler {
  /** Milliseconds since the beginning; never goes back. */
  now(): number;
  at(delayMs: number, owner: Owner | null, run: () => void | Promise<void>): Timer;
  /** Work that goes on beside the events, such as the statements inside a transaction: the next event waits for it. */
  track(work: Promise<unknown>): void;
  /** Ends the simulation with an error, whatever the code under test would make of it. */
  fail(error: unknown): void;
  /** Runs the next event; false when nothing is to come. */
  step(): Promise<boolean>;
  /** Waits until all of the code waits for something, without taking an event. */
  settle(): Promise<void>;
  /** Time by the clock on the wall, which may jump. */
  jump(ms: number): void;
  wall(): number;
  clock(owner: Owner): Clock;
  readonly steps: number;
}

interface Event {
  readonly at: number;
  readonly lot: number;
  readonly order: number;
  readonly owner: Owner | null;
  readonly run: () => void | Promise<void>;
  isCancelled: boolean;
}

const START = Date.UTC(2026, 0, 5, 9, 0, 0);
/** Real time: a statement that Postgres does not answer is a deadlock between two of ours. */
const STUCK_MS = 20_000;

export function createScheduler(random: Random): Scheduler {
  const heap: Event[] = [];
  const beside = new Set<Promise<unknown>>();
  let now = 0;
  let offset = 0;
  let order = 0;
  let steps = 0;
  let failure: { error: unknown } | undefined;

  function at(delayMs: number, owner: Owner | null, run: Event['run']): Timer {
    order += 1;
    const due = now + Math.max(0, Math.round(delayMs));
    const event: Event = { at: due, lot: random.next(), order, owner, run, isCancelled: false };
    push(heap, event);
    return {
      cancel() {
        event.isCancelled = true;
      },
    };
  }

  async function settle(): Promise<void> {
    for (;;) {
      await new Promise((resolve) => setImmediate(resolve));
      if (failure !== undefined) throw failure.error;
      if (beside.size === 0) return;
      await within(STUCK_MS, Promise.allSettled([...beside]));
    }
  }

  return {
    now: () => now,
    at,
    settle,
    track(work) {
      const tracked: Promise<unknown> = work.then(
        () => beside.delete(tracked),
        () => beside.delete(tracked),
      );
      beside.add(tracked);
    },
    fail(error) {
      failure ??= { error };
    },
    async step() {
      await settle();
      for (let event = pop(heap); event !== undefined; event = pop(heap)) {
        if (event.isCancelled || event.owner?.isAlive === false) continue;
        now = Math.max(now, event.at);
        steps += 1;
        await within(STUCK_MS, Promise.resolve(event.run()));
        await settle();
        return true;
      }
      return false;
    },
    jump(ms) {
      offset += ms;
    },
    wall: () => START + now + offset,
    clock(owner) {
      // What is called back may wait for events itself: it is not waited for.
      const after: Clock['after'] = (ms, run) => at(ms, owner, () => void run());
      return {
        now: () => new Date(START + now + offset),
        after,
        sleep: (ms, signal) => sleepOn({ after }, ms, signal),
      };
    },
    get steps() {
      return steps;
    },
  };
}

async function within<Result>(ms: number, work: Promise<Result>): Promise<Result> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`the simulation is stuck: no answer in ${ms / 1000} s`)), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

function isBefore(a: Event, b: Event): boolean {
  if (a.at !== b.at) return a.at < b.at;
  return a.lot !== b.lot ? a.lot < b.lot : a.order < b.order;
}

function push(heap: Event[], event: Event): void {
  let index = heap.push(event) - 1;
  while (index > 0) {
    const above = (index - 1) >> 1;
    const parent = heap[above];
    if (parent === undefined || !isBefore(event, parent)) break;
    heap[index] = parent;
    index = above;
  }
  heap[index] = event;
}

function pop(heap: Event[]): Event | undefined {
  const [first] = heap;
  const last = heap.pop();
  if (first === undefined || last === undefined || first === last) return first;
  let index = 0;
  for (;;) {
    let below = 2 * index + 1;
    const left = heap[below];
    if (left === undefined) break;
    const right = heap[below + 1];
    let child = left;
    if (right !== undefined && isBefore(right, left)) {
      child = right;
      below += 1;
    }
    if (!isBefore(child, last)) break;
    heap[index] = child;
    index = below;
  }
  heap[index] = last;
  return first;
}
