import { EventEmitter } from 'node:events';
import type pg from 'pg';
import type { Calls } from './calls.ts';
import type { SimDatabase } from './database.ts';
import { currentJob, type Job, type SimProcess } from './process.ts';
import { createRememberedReads, tablesWritten } from './remembered-reads.ts';
import type { Scheduler } from './scheduler.ts';

/** How the simulated processes reach the real Postgres: each statement is an await of its own, a transaction is one. */
export interface Connections {
  pool(process: SimProcess): pg.Pool;
  /** A connection of its own, for a lock. */
  connect(process: SimProcess): pg.Client;
  /** Every connection breaks, and for a while there is no new one. */
  restart(downMs: number): void;
}

export interface LockEvent {
  readonly environmentId: string;
  readonly job: Job | undefined;
  readonly isTaken: boolean;
}

/** The class of an environment's lock (packages/store/src/environment-lock.ts). */
const ENVIRONMENT_LOCK = 0xb006;

interface Session {
  readonly process: SimProcess;
  real: pg.Client | undefined;
  inTransaction: boolean;
  /** Tables that the transaction wrote to: others see it when it is over. */
  readonly written: Set<string>;
  /** It has something that does not end by itself when the next one gets it: a transaction, or locks. */
  isDirty: boolean;
  isOver: boolean;
  /** What was locked on it, and by whom. */
  readonly locks: { readonly environmentId: string; readonly job: Job | undefined }[];
  readonly onBreak: (error: Error) => void;
}

type Query = (text: string, values?: readonly unknown[]) => Promise<pg.QueryResult>;

export function createConnections(of: {
  scheduler: Scheduler;
  calls: Calls;
  database: SimDatabase;
  /** What a mutation makes of a statement. */
  rewrite: (text: string) => string;
  /** Something in these tables may have changed. */
  onWrite: (tables: readonly string[]) => void;
  /** An environment's lock was taken, or fell. */
  onLock: (event: LockEvent) => void;
}): Connections {
  const { scheduler, calls, database } = of;
  const sessions = new Set<Session>();
  const loose = new Map<SimProcess, pg.Client>();
  let clockAt = 0;
  let downUntil = 0;
  let restarts = 0;

  const reads = createRememberedReads();

  /** As Postgres answers it: the statement is the one to run. */
  async function execute(real: pg.Client, statement: string, values: readonly unknown[]) {
    const wall = scheduler.wall();
    if (Math.abs(wall - clockAt) > SKEW_MAX_MS && asksForTime(statement)) {
      clockAt = wall;
      // Sent together with the statement, which comes behind it (pg's pipeline).
      real
        .query({ name: 'clock', text: `select setval('simulation.clock', $1)`, values: [clockAt] })
        .catch(() => {});
    }
    return await real.query({ name: planName(statement), text: statement, values: [...values] });
  }

  function changed(tables: readonly string[]): void {
    if (tables.length === 0) return;
    reads.note(tables);
    of.onWrite(tables);
  }

  /** Outside of a transaction. */
  async function ask(real: () => Promise<pg.Client>, text: string, values: readonly unknown[] = []) {
    const statement = of.rewrite(text);
    const written = tablesWritten(statement);
    const run = async () => await execute(await real(), statement, values);
    if (written.length === 0) return await reads.answer(statement, values, run);
    return await run().finally(() => changed(written));
  }

  /** On a session, in a transaction or about to begin one. */
  async function askInside(session: Session, real: pg.Client, text: string, values: readonly unknown[] = []) {
    const statement = of.rewrite(text);
    if (text === 'begin') session.isDirty = true;
    for (const table of tablesWritten(statement)) session.written.add(table);
    const result = await execute(real, statement, values);
    if (!ENDS.has(text)) return result;
    session.isDirty = session.locks.length > 0;
    changed([...session.written]);
    session.written.clear();
    return result;
  }

  async function looseSession(process: SimProcess): Promise<pg.Client> {
    const known = loose.get(process);
    if (known !== undefined) return known;
    const real = await database.takeSession();
    loose.set(process, real);
    process.onDeath.push(() => scheduler.track(database.giveSession(real, false)));
    return real;
  }

  function open(process: SimProcess, onBreak: Session['onBreak']): Session {
    const session: Session = {
      process,
      real: undefined,
      inTransaction: false,
      written: new Set(),
      isDirty: false,
      isOver: false,
      locks: [],
      onBreak,
    };
    sessions.add(session);
    process.onDeath.push(() => close(session));
    return session;
  }

  function close(session: Session): void {
    if (session.isOver) return;
    session.isOver = true;
    sessions.delete(session);
    for (const { environmentId, job } of session.locks) of.onLock({ environmentId, job, isTaken: false });
    if (session.real !== undefined) scheduler.track(database.giveSession(session.real, session.isDirty));
  }

  /** A statement of a session, that a lock or a transaction may live in. */
  function queryOf(session: Session): Query {
    return async (text, values) => {
      if (session.isOver) throw terminated();
      const name = `sql ${statementName(text)}`;
      const work = async () => {
        if (session.isOver) throw terminated();
        const real = async () => {
          session.real ??= await database.takeSession();
          return session.real;
        };
        const isInside = session.inTransaction || text === 'begin';
        if (text.includes('pg_try_advisory_lock')) session.isDirty = true;
        const result = isInside
          ? await askInside(session, await real(), text, values)
          : await ask(real, text, values);
        if (text.includes('pg_advisory_unlock_all')) session.isDirty = false;
        if (values?.[0] === ENVIRONMENT_LOCK && result.rows[0]?.locked === true) {
          const taken = { environmentId: String(values[1]), job: currentJob.getStore() };
          session.locks.push(taken);
          of.onLock({ ...taken, isTaken: true });
        }
        session.inTransaction = text === 'begin' || (session.inTransaction && !ENDS.has(text));
        return result;
      };
      return await calls.call(session.process, name, work, { takes: [0, 1], atOnce: session.inTransaction });
    };
  }

  return {
    pool(process) {
      const query: Query = async (text, values) => {
        const seen = restarts;
        const name = `sql ${statementName(text)}`;
        const work = async () => {
          if (seen !== restarts) throw terminated();
          if (scheduler.now() < downUntil) throw refused();
          return await ask(() => looseSession(process), text, values);
        };
        return await calls.call(process, name, work, { takes: [0, 1] });
      };
      const connect = () =>
        calls.call(process, 'sql connect', () => {
          if (scheduler.now() < downUntil) throw refused();
          const session = open(process, () => {});
          return { query: queryOf(session), release: () => close(session) };
        });
      return { query, connect } as unknown as pg.Pool;
    },
    connect(process) {
      const events = new EventEmitter();
      const session = open(process, (error) => {
        events.emit('error', error);
        events.emit('end');
      });
      const client = {
        on: (event: string, listener: () => void) => events.on(event, listener),
        connect: () =>
          calls.call(process, 'sql connect', () => {
            if (scheduler.now() < downUntil) throw refused();
          }),
        query: queryOf(session),
        end: () => calls.call(process, 'sql disconnect', () => close(session)),
      };
      return client as unknown as pg.Client;
    },
    restart(downMs) {
      restarts += 1;
      downUntil = scheduler.now() + downMs;
      for (const session of [...sessions]) {
        close(session);
        session.onBreak(terminated());
      }
    },
  };
}

/** The clocks of two machines differ by more. */
const SKEW_MAX_MS = 10;

/** Inserts do without saying so: by the defaults of columns. */
function asksForTime(text: string): boolean {
  return text.includes('now()') || text.includes('insert into');
}

const ENDS: ReadonlySet<string> = new Set(['commit', 'rollback']);

function terminated(): Error {
  return new Error('Connection terminated unexpectedly');
}

function refused(): Error {
  return Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
}

const planNames = new Map<string, string>();

/** Postgres plans each statement once a session. */
function planName(text: string): string {
  const known = planNames.get(text);
  if (known !== undefined) return known;
  const name = `s${planNames.size}`;
  planNames.set(text, name);
  return name;
}

const statementNames = new Map<string, string>();

/** `update environments`, `select deliveries`, `begin`: what is done to which table first. */
export function statementName(text: string): string {
  const known = statementNames.get(text);
  if (known !== undefined) return known;
  const [, verb, table] =
    /\b(insert into|update|delete from) (?:only )?(\w+)/.exec(withoutUpsert(text)) ?? [];
  const named =
    verb !== undefined
      ? `${verb.split(' ')[0]} ${table}`
      : text.includes('pg_try_advisory_lock')
        ? 'lock'
        : text.includes('pg_advisory_unlock')
          ? 'unlock'
          : /^\w+$/.test(text)
            ? text
            : `select ${/\bfrom (\w+)/.exec(text)?.[1] ?? ''}`.trim();
  statementNames.set(text, named);
  return named;
}

function withoutUpsert(text: string): string {
  return text.replaceAll('do update', '').replaceAll('for update', '');
}
