import type { ObservedServer } from '../session.ts';
import { withSession } from './session.ts';

/** A statement of the hook as the server logged it. Times in milliseconds by the server's clock. */
export interface LoggedStatement {
  readonly session: number;
  readonly from: number;
  readonly to: number;
  readonly schema: string;
  readonly changedRows: number;
  readonly sql: string;
  readonly changesSchema: boolean;
}

export interface StatementLog {
  readonly statements: readonly LoggedStatement[];
  readonly leftOut: number;
}

/** Half a millisecond: a hook that writes row by row must not fill the disk, and no DDL is as quick. */
const loggedFromSeconds = 0.0005;
const statementsMax = 2_000;
const textMax = 16 * 1024;
const ddl = `regexp '^[[:space:]]*(alter|create|drop|rename|truncate|optimize)[[:space:]]'`;

/**
 * Every session that begins from now on writes its statements into `mysql.slow_log`, with their durations
 * (MariaDB, "Slow Query Log Overview"; `start_time` is the begin). What was there is removed.
 */
export async function startStatementLog(server: ObservedServer): Promise<void> {
  await withSession(server, async (session) => {
    await session.query('set global slow_query_log = 0');
    await session.query('truncate table mysql.slow_log');
    await session.query(
      `set global log_output = 'TABLE', global long_query_time = ${loggedFromSeconds}, global log_slow_filter = '',
         global log_slow_rate_limit = 1, global min_examined_row_limit = 0, global log_slow_verbosity = ''`,
    );
    await session.query('set global slow_query_log = 1');
  });
}

/** Stops logging, reads what was logged, and leaves the table empty: statements hold values. */
export async function endStatementLog(server: ObservedServer): Promise<StatementLog> {
  return withSession(server, async (session) => {
    await session.query('set global slow_query_log = 0');
    const time = `unix_timestamp(start_time) * 1000`;
    const statements = await session.query<Row>(
      `select thread_id as session, ${time} as \`from\`, ${time} + time_to_sec(query_time) * 1000 as \`to\`, db as \`schema\`,
         rows_affected as changedRows, left(convert(sql_text using utf8mb4), ${textMax}) as \`sql\`, sql_text ${ddl} as changesSchema
       from mysql.slow_log order by changesSchema desc, query_time desc limit ${statementsMax}`,
    );
    const [all] = await session.query<{ count: number }>(`select count(*) as count from mysql.slow_log`);
    await session.query('truncate table mysql.slow_log');
    return {
      statements: statements.map(statementOf).sort((a, b) => a.from - b.from),
      leftOut: (all?.count ?? 0) - statements.length,
    };
  });
}

interface Row {
  readonly session: number | string;
  readonly from: string;
  readonly to: string;
  readonly schema: string;
  readonly changedRows: number;
  readonly sql: string;
  readonly changesSchema: number;
}

function statementOf(row: Row): LoggedStatement {
  return {
    ...{ session: Number(row.session), from: Number(row.from), to: Number(row.to) },
    ...{ schema: row.schema, changedRows: row.changedRows, sql: row.sql },
    changesSchema: row.changesSchema === 1,
  };
}
