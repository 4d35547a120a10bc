import { type Answer, type Asker, attemptTimeoutMs, type ProbeKind } from '../probe.ts';
import type { ObservedServer } from '../session.ts';
import type { ProbeSql, UserTable } from '../tables.ts';
import { openSession, type Session } from './session.ts';
import { probeSqlOf } from './tables.ts';

export async function askMariadb(server: ObservedServer, table: UserTable, kind: ProbeKind): Promise<Asker> {
  const session = await openSession(server, { statementTimeoutMs: attemptTimeoutMs });
  try {
    let sql = await probeSqlOf(session, table);
    return {
      pid: session.id,
      ask: async () =>
        sql === undefined ? { kind: 'refused', reason: 'there is no such table' } : ask(session, sql, kind),
      async renew() {
        const before = sql;
        sql = await probeSqlOf(session, table).catch(() => undefined);
        if (sql === undefined) return 'gone';
        return sql.read === before?.read && sql.write === before.write ? 'same' : 'changed';
      },
      close: () => session.close(),
    };
  } catch (error) {
    await session.close();
    throw error;
  }
}

/** `sysdate` is the time at which it is evaluated; `now` would be that of the statement's begin. */
const clock = 'select unix_timestamp(sysdate(6)) * 1000 as at';
/** Lock wait timeout, deadlock, statement killed, max_statement_time. */
const lateErrors: ReadonlySet<unknown> = new Set([1205, 1213, 1317, 1969]);

async function ask(session: Session, sql: ProbeSql, kind: ProbeKind): Promise<Answer> {
  const text =
    kind === 'read' ? `${clock}; ${sql.read}; ${clock}` : `begin; ${clock}; ${sql.write}; ${clock}; rollback`;
  try {
    const results = await session.queryAll(text);
    const times = results.flat().flatMap((row) => ('at' in row ? [Number(row.at)] : []));
    return { kind: 'answer', from: times[0] ?? 0, to: times.at(-1) ?? 0 };
  } catch (error) {
    if (kind === 'write') await session.query('rollback');
    const { errno, message } = error as { errno?: unknown; message: string };
    return lateErrors.has(errno) ? { kind: 'late' } : { kind: 'refused', reason: message };
  }
}
