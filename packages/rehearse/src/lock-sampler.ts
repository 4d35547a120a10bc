import { setTimeout as delay } from 'node:timers/promises';
import { backendOf, connect, disconnect, type ObservedServer } from './session.ts';
import { createWrittenBytes } from './written-bytes.ts';

/** Sampling costs the server a fraction of a millisecond; what is shorter than this nobody feels. */
const everyMs = 5;
const holdsMax = 5_000;

/** A lock that a session held, as far as the samples saw it. Times by the server's clock. */
export interface Hold {
  readonly pid: number;
  readonly database: number;
  readonly relation: number;
  readonly mode: string;
  readonly from: number;
  readonly to: number;
}

export interface Samples {
  readonly holds: readonly Hold[];
  /** The longest time between two looks. */
  readonly blindMs: number;
  /** Bytes that had been written to the log of changes at a time. */
  readonly walAt: (at: number) => number;
  readonly walBytes: number;
  /** Why it ended early. */
  readonly ended: string | null;
}

export interface LockSampler {
  stop(): Promise<Samples>;
}

type SampledLock = [pid: number, database: number, relation: number, mode: string];

interface Row {
  readonly at: number;
  readonly wal: number;
  readonly locks: SampledLock[];
  readonly waiting: number[];
}

/**
 * Looks every few milliseconds which locks the hook's sessions hold, from a session of its own. `own` are the observers'
 * sessions, whose waiting is passed on.
 */
export async function startLockSampler(
  server: ObservedServer,
  options: {
    own: () => readonly number[];
    onHeld: (database: number, relation: number) => void;
    onWaiting: (pid: number) => void;
  },
): Promise<LockSampler> {
  const client = await connect(server, { database: 'postgres' });
  const own = await backendOf(client);
  const open = new Map<string, { hold: Hold; sample: number }>();
  const holds: Hold[] = [];
  const wal = createWrittenBytes();
  let blindMs = 0;
  let ended: string | null = null;
  let sample = 0;
  let last: number | undefined;
  const stopping = new AbortController();

  const close = (hold: Hold) => {
    holds.push(hold);
    if (holds.length <= holdsMax) return;
    holds.sort((a, b) => b.to - b.from - (a.to - a.from));
    holds.length = Math.floor(holdsMax / 2);
  };
  const take = (row: Row) => {
    sample += 1;
    if (last !== undefined) blindMs = Math.max(blindMs, row.at - last);
    const before = last ?? row.at;
    last = row.at;
    wal.note(row.at, row.wal);
    for (const pid of row.waiting) options.onWaiting(pid);
    for (const [pid, database, relation, mode] of row.locks) {
      const key = `${pid} ${database} ${relation} ${mode}`;
      const known = open.get(key);
      // It was taken somewhere between the two looks.
      const from = known?.hold.from ?? (before + row.at) / 2;
      open.set(key, { hold: { pid, database, relation, mode, from, to: row.at }, sample });
      if (known === undefined) options.onHeld(database, relation);
    }
    for (const [key, { hold, sample: seen }] of open) {
      if (seen === sample) continue;
      open.delete(key);
      close({ ...hold, to: (hold.to + row.at) / 2 });
    }
  };
  const loop = async () => {
    while (!stopping.signal.aborted) {
      const { rows } = await client.query<Row>({
        name: 'sample',
        text: sampleSql,
        values: [[own, ...options.own()]],
      });
      const [row] = rows;
      if (row !== undefined) take(row);
      await delay(everyMs, undefined, { signal: stopping.signal }).catch(() => {});
    }
  };
  const running = loop().catch((error: unknown) => {
    ended = error instanceof Error ? error.message : String(error);
  });
  return {
    async stop() {
      stopping.abort();
      await running;
      await disconnect(client);
      for (const { hold } of open.values()) close(hold);
      return { holds, blindMs, walAt: wal.at, walBytes: wal.total(), ended };
    },
  };
}

const sampleSql = `select (extract(epoch from clock_timestamp()) * 1000)::float8 as at,
  (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::float8 as wal,
  coalesce((select json_agg(json_build_array(l.pid, l.database::int8, l.relation::int8, l.mode)) from (
    select pid, database, relation, mode from pg_locks
    where locktype = 'relation' and granted and relation >= 16384 and mode <> 'AccessShareLock' and pid <> all($1::int[])
      and (select backend_type from pg_stat_get_activity(pid)) = 'client backend' limit 500) l), '[]') as locks,
  coalesce((select json_agg(distinct w.pid) from pg_locks w where not w.granted and w.pid = any($1::int[])), '[]') as waiting`;
