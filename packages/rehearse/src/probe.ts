import { setTimeout as delay } from 'node:timers/promises';
import type { UserTable } from './tables.ts';

export type ProbeKind = 'read' | 'write';

/** One answer that took long, from asking to having it. */
export interface Stall {
  readonly from: number;
  readonly to: number;
  /** It was seen waiting for a lock; otherwise only the machine was slow. */
  readonly waited: boolean;
  /** Of it, what attempts waited that gave up. The server's log does not say how long those were. */
  readonly givenUpMs: number;
}

export interface ProbeResult {
  readonly table: UserTable;
  readonly kind: ProbeKind;
  readonly pid: number;
  readonly answers: number;
  /** Those that took longer than `worthNotingMs`, the longest ones when there are many. */
  readonly stalls: readonly Stall[];
  /** The longest answer of all. */
  readonly longestMs: number;
  /** Why it ended early. */
  readonly ended: string | null;
}

export interface Probe {
  readonly table: UserTable;
  readonly kind: ProbeKind;
  readonly pid: number;
  readonly answers: () => number;
  /** Seen in the server's table of locks: it waits. */
  noteWaiting(): void;
  /** Ends after the answer that is under way. */
  stop(): Promise<ProbeResult>;
}

export const worthNotingMs = 10;
const stallsMax = 200;

export type Answer =
  | { readonly kind: 'answer'; readonly from: number; readonly to: number }
  /** It gave up waiting. */
  | { readonly kind: 'late' }
  | { readonly kind: 'refused'; readonly reason: string };

/** A connection that asks one table one thing. Answers are timed by the server's clock, so that a busy Node is no stall. */
export interface Asker {
  /** The session, as the server's log and its lists of locks call it. */
  readonly pid: number;
  ask(): Promise<Answer>;
  /** After a refusal: whether there is something else to ask, because the table was changed. `gone`: there is no table. */
  renew(): Promise<'changed' | 'same' | 'gone'>;
  close(): Promise<void>;
}

/**
 * A probe gives up waiting after so long and asks again, so that it is never what others wait for: its place in the
 * queue for a lock is gone then. The stall goes on until an answer comes.
 */
export const attemptTimeoutMs = 5_000;

/** Asks a table again and again, until it is stopped. */
export function startProbe(
  asker: Asker,
  of: { table: UserTable; kind: ProbeKind; everyMs: () => number },
): Probe {
  const { table, kind } = of;
  const { pid } = asker;
  let answers = 0;
  let longestMs = 0;
  let ended: string | null = null;
  let isWaiting = false;
  const stalls: Stall[] = [];
  const stopping = new AbortController();

  const note = (stall: Stall) => {
    const took = stall.to - stall.from;
    longestMs = Math.max(longestMs, took);
    if (took < worthNotingMs) return;
    stalls.push(stall);
    if (stalls.length <= stallsMax) return;
    const shortest = stalls.reduce((least, one) => (one.to - one.from < least.to - least.from ? one : least));
    stalls.splice(stalls.indexOf(shortest), 1);
  };
  const loop = async () => {
    while (!stopping.signal.aborted) {
      let since: number | undefined;
      let givenUpMs = 0;
      isWaiting = false;
      for (;;) {
        const startedAt = Date.now();
        const answer = await asker.ask();
        if (answer.kind === 'answer') {
          answers += 1;
          note({
            from: since ?? answer.from,
            to: answer.to,
            waited: isWaiting || since !== undefined,
            givenUpMs,
          });
          break;
        }
        if (answer.kind === 'late') {
          since ??= startedAt;
          givenUpMs += Date.now() - startedAt;
          // Nobody waits for what a migration that was killed half-way still holds.
          if (!stopping.signal.aborted) continue;
          note({ from: since, to: Date.now(), waited: true, givenUpMs });
          return;
        } else {
          // A column that it used may be gone, while the table is there.
          const renewed = await asker.renew();
          if (renewed === 'changed') continue;
          ended = renewed === 'gone' ? 'the table is not there any more' : answer.reason;
          return;
        }
      }
      await delay(of.everyMs(), undefined, { signal: stopping.signal }).catch(() => {});
    }
  };
  const running = loop().catch((error: unknown) => {
    ended = error instanceof Error ? error.message : String(error);
  });
  return {
    table,
    kind,
    pid,
    answers: () => answers,
    noteWaiting() {
      isWaiting = true;
    },
    async stop() {
      stopping.abort();
      await running;
      await asker.close();
      return { table, kind, pid, answers, stalls, longestMs, ended };
    },
  };
}
