import type pg from 'pg';
import { type Answer, type Asker, attemptTimeoutMs, type ProbeKind } from './probe.ts';
import { backendOf, connect, disconnect, type ObservedServer } from './session.ts';
import { type ProbeSql, probeSqlOf, type UserTable } from './tables.ts';

export async function askPostgres(server: ObservedServer, table: UserTable, kind: ProbeKind): Promise<Asker> {
  const client = await connect(server, {
    database: table.database,
    statementTimeoutMs: attemptTimeoutMs,
    // What the probes write need not be there after a crash of a clone.
    settings: ['synchronous_commit=off', 'log_lock_waits=on'],
  });
  try {
    const pid = await backendOf(client);
    let sql = await probeSqlOf(client, table);
    return {
      pid,
      ask: async () =>
        sql === undefined ? { kind: 'refused', reason: 'there is no such table' } : ask(client, sql, kind),
      async renew() {
        const before = sql;
        sql = await probeSqlOf(client, table).catch(() => undefined);
        if (sql === undefined) return 'gone';
        return sql.read === before?.read && sql.write === before.write ? 'same' : 'changed';
      },
      close: () => disconnect(client),
    };
  } catch (error) {
    await disconnect(client);
    throw error;
  }
}

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
