import { z } from 'zod';
import { eventMark } from './event-triggers.ts';
import { type ObservedServer, withSession } from './session.ts';

/** Statements that took less are seen only when they change the schema. */
const shortestMs = 2;
/** Above the first look of a rehearsal at 5 ms, below what a person would call a stall. */
const lockWaitsFromMs = 20;
const statementsMax = 500;
const eventsMax = 2_000;
const textMax = 16 * 1024;

export interface LoggedStatement {
  readonly pid: number;
  /** Milliseconds since 1970 by the server's clock, as are all times here. */
  readonly from: number;
  readonly to: number;
  readonly sql: string;
}

const Event = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('start'),
    at: z.number(),
    tag: z.string(),
    database: z.string(),
    locks: z.array(z.tuple([z.number(), z.string()])),
  }),
  z.object({
    kind: z.literal('end'),
    at: z.number(),
    tag: z.string(),
    database: z.string(),
    objects: z.array(z.string().nullable()),
    locks: z.array(z.tuple([z.number(), z.string()])),
    sql: z.string().nullable(),
  }),
  z.object({ kind: z.literal('rewrite'), at: z.number(), database: z.string(), table: z.number() }),
]);
export type LoggedEvent = z.infer<typeof Event> & { readonly pid: number };

/** A wait for a lock that the server found worth a line. `relation` is null when it waited for a row or a transaction. */
export interface LoggedWait {
  readonly pid: number;
  readonly relation: number | null;
  readonly waitedMs: number;
  /** When it had waited so long. */
  readonly at: number;
}

export interface ServerLog {
  readonly statements: readonly LoggedStatement[];
  readonly statementsLeftOut: number;
  readonly events: readonly LoggedEvent[];
  readonly waits: readonly LoggedWait[];
}

/** Statements with their durations, and waits for locks; no parameters and no details, which hold values. */
export async function startLogging(server: ObservedServer): Promise<void> {
  const settings = {
    log_line_prefix: 'bough %n %p ',
    log_min_duration_statement: `${shortestMs}ms`,
    log_statement: 'none',
    log_duration: 'off',
    log_lock_waits: 'on',
    deadlock_timeout: `${lockWaitsFromMs}ms`,
    log_error_verbosity: 'terse',
    log_parameter_max_length: '0',
    log_parameter_max_length_on_error: '0',
    log_min_error_statement: 'panic',
    log_min_messages: 'warning',
    log_checkpoints: 'off',
    log_autovacuum_min_duration: '-1',
  };
  await withSession(server, 'postgres', async (client) => {
    for (const [name, value] of Object.entries(settings))
      await client.query(`alter system set ${name} = '${value}'`);
    await client.query('select pg_reload_conf()');
  });
}

/** Puts the lines of a server's log together as they come. Bounded: of many statements the longest are kept. */
export function createLogReader(): { line(text: string): void; read(): ServerLog } {
  const statements: LoggedStatement[] = [];
  let statementsLeftOut = 0;
  const events: LoggedEvent[] = [];
  const waits = new Map<string, LoggedWait>();
  let entry = '';

  const keep = (statement: LoggedStatement) => {
    statements.push(statement);
    if (statements.length <= statementsMax * 2) return;
    const longest = [...statements].sort((a, b) => b.to - b.from - (a.to - a.from)).slice(0, statementsMax);
    statementsLeftOut += statements.length - longest.length;
    const kept = new Set(longest);
    statements.splice(0, statements.length, ...statements.filter((one) => kept.has(one)));
  };
  const take = (text: string) => {
    const found = parseEntry(text);
    if (found === undefined) return;
    if ('sql' in found && 'from' in found) keep(found);
    else if ('kind' in found) {
      if (events.length < eventsMax) events.push(found);
    } else {
      // The same wait is told twice: when it is long, and when it ends.
      const key = `${found.pid} ${found.relation} ${Math.round((found.at - found.waitedMs) / 50)}`;
      const known = waits.get(key);
      if (known === undefined || known.waitedMs < found.waitedMs) waits.set(key, found);
    }
  };
  return {
    line(text) {
      if (text.startsWith('bough ')) {
        take(entry);
        entry = text;
      } else if (entry !== '' && entry.length < textMax) entry += `\n${text.replace(/^\t/, '')}`;
    },
    read() {
      take(entry);
      entry = '';
      return { statements, statementsLeftOut, events, waits: [...waits.values()] };
    },
  };
}

const head = /^bough (?<at>\d+\.\d+) (?<pid>\d+) LOG: {2}(?<message>[\s\S]*)$/;
const duration = /^duration: (?<ms>[\d.]+) ms {2}(?:statement|execute [^:]*): (?<sql>[\s\S]*)$/;
const wait =
  /^process (?<pid>\d+) (?:still waiting for|acquired) \w+ on (?:relation (?<relation>\d+) of|tuple .* of relation (?<tuple>\d+) of|\w+).* after (?<ms>[\d.]+) ms/;

function parseEntry(text: string): LoggedStatement | LoggedEvent | LoggedWait | undefined {
  const { at: seconds, pid: process, message } = head.exec(text)?.groups ?? {};
  if (seconds === undefined || process === undefined || message === undefined) return undefined;
  const at = Number(seconds) * 1000;
  const pid = Number(process);
  if (message.startsWith(eventMark)) return parseEvent(message.slice(eventMark.length), pid);
  const done = duration.exec(message)?.groups;
  if (done?.ms !== undefined && done.sql !== undefined)
    return { pid, from: at - Number(done.ms), to: at, sql: done.sql };
  const waited = wait.exec(message)?.groups;
  if (waited?.ms === undefined) return undefined;
  const relation = waited.relation ?? waited.tuple;
  return {
    pid: Number(waited.pid),
    relation: relation === undefined ? null : Number(relation),
    waitedMs: Number(waited.ms),
    at,
  };
}

function parseEvent(text: string, pid: number): LoggedEvent | undefined {
  try {
    const event = Event.safeParse(JSON.parse(text));
    return event.success ? { ...event.data, pid } : undefined;
  } catch {
    return undefined;
  }
}
