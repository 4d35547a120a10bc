import { setTimeout as delay } from 'node:timers/promises';
import type { ObservedServer } from '../session.ts';
import { createWrittenBytes } from '../written-bytes.ts';
import { openSession } from './session.ts';

const everyMs = 5;
const copiesMax = 10_000;
const waitsMax = 10_000;
/** Two looks on a busy machine. */
const sameWaitMs = 250;

/** A session of ours that was seen waiting, from its first look to its last. */
export interface Wait {
  readonly session: number;
  readonly from: number;
  readonly to: number;
  /** For a table or its definition; otherwise for a row. */
  readonly isMetadata: boolean;
}

export interface Samples {
  readonly waits: readonly Wait[];
  /** When which session was seen to write a table anew. */
  readonly copies: readonly { session: number; at: number }[];
  /** The longest time between two looks. */
  readonly blindMs: number;
  readonly writtenAt: (at: number) => number;
  readonly writtenBytes: number;
  /** Why it ended early. */
  readonly ended: string | null;
}

export interface Sampler {
  stop(): Promise<Samples>;
}

const sampleSql = `select unix_timestamp(sysdate(6)) * 1000 as at;
  select id, coalesce(state, '') as state, left(convert(info using utf8mb4), 4096) as \`sql\`, db as \`schema\`
    from information_schema.processlist where command in ('Query', 'Execute') and id <> connection_id();
  show global status where variable_name in ('Innodb_lsn_current', 'Innodb_row_lock_current_waits')`;

/** Looks every few milliseconds what each session does. `own` are the observers' sessions, whose waiting is passed on. */
export async function startSampler(
  server: ObservedServer,
  options: {
    own: () => readonly number[];
    onStatement: (schema: string, sql: string) => void;
    onWaiting: (session: number) => void;
  },
): Promise<Sampler> {
  const session = await openSession(server);
  const written = createWrittenBytes();
  const copies: { session: number; at: number }[] = [];
  const waits: { session: number; from: number; to: number; isMetadata: boolean }[] = [];
  const seen = new Map<number, string>();
  const stopping = new AbortController();
  let blindMs = 0;
  let last: number | undefined;
  let ended: string | null = null;

  const noteWaiting = (id: number, at: number, isMetadata: boolean) => {
    options.onWaiting(id);
    const known = waits.findLast((wait) => wait.session === id);
    if (known !== undefined && known.isMetadata === isMetadata && at - known.to <= sameWaitMs) known.to = at;
    else if (waits.length < waitsMax) waits.push({ session: id, from: at, to: at, isMetadata });
  };
  const look = async () => {
    const [[clock] = [], processes = [], status = []] = await session.queryAll(sampleSql);
    const at = Number(clock?.at);
    if (last !== undefined) blindMs = Math.max(blindMs, at - last);
    last = at;
    const counters = new Map(status.map((row) => [row.Variable_name, Number(row.Value)]));
    written.note(at, counters.get('Innodb_lsn_current') ?? 0);
    const rowWaits = counters.get('Innodb_row_lock_current_waits') ?? 0;
    const own = new Set(options.own());
    for (const row of processes) {
      const id = Number(row.id);
      const state = String(row.state);
      if (own.has(id)) {
        const isMetadata = state.startsWith('Waiting for ');
        // InnoDB's own list of who waits is not made anew for whoever asks more often than ten times a second.
        if (isMetadata || (rowWaits > 0 && state === 'Updating')) noteWaiting(id, at, isMetadata);
        continue;
      }
      if (state === 'copy to tmp table' && copies.length < copiesMax) copies.push({ session: id, at });
      const sql = String(row.sql ?? '');
      if (seen.get(id) === sql) continue;
      seen.set(id, sql);
      options.onStatement(String(row.schema ?? ''), sql);
    }
  };
  const loop = async () => {
    while (!stopping.signal.aborted) {
      await look();
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
      await session.close();
      return { waits, copies, blindMs, writtenAt: written.at, writtenBytes: written.total(), ended };
    },
  };
}
