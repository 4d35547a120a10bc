import { setTimeout as delay } from 'node:timers/promises';
import type pg from 'pg';
import { backendOf, connect, disconnect, type ObservedServer } from './session.ts';
import { type ProbeSql, probeSqlOf, type UserTable } from './tables.ts';

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
/**
 * A probe gives up waiting after so long and asks again, so that it is never what others wait for: its place in the
 * queue for a lock is gone then. The stall goes on until an answer comes.
 */
const attemptTimeoutMs = 5_000;
const stallsMax = 200;

/** Asks a table again and again. Answers are timed by the server's clock, so that a busy Node does not count as a stall. */
export async function startProbe(
  server: ObservedServer,
  table: UserTable,
  kind: ProbeKind,
  options: { everyMs: () => number },
): Promise<Probe> {
  const client = await connect(server, {
    database: table.database,
    statementTimeoutMs: attemptTimeoutMs,
    // What the probes write need not be there after a crash of a clone.
    settings: ['synchronous_commit=off', 'log_lock_waits=on'],
  });
  try {
    const pid = await backendOf(client);
    const sql = await probeSqlOf(client, table);
    return run({ client, pid, table, kind, sql, options });
  } catch (error) {
    await disconnect(client);
    throw error;
  }
}

interface Running {
  readonly client: pg.Client;
  readonly pid: number;
  readonly table: UserTable;
  readonly kind: ProbeKind;
  readonly sql: ProbeSql | undefined;
  readonly options: { everyMs: () => number };
}

function run({ client, pid, table, kind, sql: firstSql, options }: Running): Probe {
  let sql = firstSql;
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
      if (sql === undefined) {
        ended = 'the table is not there any more';
        return;
      }
      let since: number | undefined;
      let givenUpMs = 0;
      isWaiting = false;
      for (;;) {
        const startedAt = Date.now();
        const answer = await ask(client, sql, kind);
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
          const changed = await probeSqlOf(client, table).catch(() => undefined);
          if (changed === undefined || (changed.read === sql.read && changed.write === sql.write)) {
            ended = changed === undefined ? 'the table is not there any more' : answer.reason;
            return;
          }
          // A column that it used is gone; the table is there.
          sql = changed;
        }
      }
      await delay(options.everyMs(), undefined, { signal: stopping.signal }).catch(() => {});
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
      await disconnect(client);
      return { table, kind, pid, answers, stalls, longestMs, ended };
    },
  };
}

type Answer =
  | { readonly kind: 'answer'; readonly from: number; readonly to: number }
  | { readonly kind: 'late' }
  | { readonly kind: 'refused'; readonly reason: string };

const clock = 'select (extract(epoch from clock_timestamp()) * 1000)::float8 as at';
/** statement_timeout, lock_timeout, deadlock_detected, serialization_failure. */
const lateCodes: ReadonlySet<unknown> = new Set(['57014', '55P03', '40P01', '40001']);

async function ask(client: pg.Client, sql: ProbeSql, kind: ProbeKind): Promise<Answer> {
  const text =
    kind === 'read' ? `${clock}; ${sql.read}; ${clock}` : `begin; ${clock}; ${sql.write}; ${clock}; rollback`;
  try {
    const results = (await client.query(text)) as unknown as pg.QueryResult<{ at?: number }>[];
    const times = results.flatMap(({ rows }) => rows.map(({ at }) => at)).filter((at) => at !== undefined);
    return { kind: 'answer', from: times[0] ?? 0, to: times.at(-1) ?? 0 };
  } catch (error) {
    if (kind === 'write') await client.query('rollback');
    const { code, message } = error as { code?: unknown; message: string };
    return lateCodes.has(code) ? { kind: 'late' } : { kind: 'refused', reason: message };
  }
}
