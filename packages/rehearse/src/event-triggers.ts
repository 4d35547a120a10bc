import type { ObservedServer } from './session.ts';
import { withSession } from './session.ts';

/** Written by the triggers into the server's log, where it is there at once, whatever becomes of the transaction. */
export const eventMark = 'bough-event ';

const schema = 'bough_rehearsal';
const sqlLengthMax = 4_000;

/**
 * Lets the server say which commands change the schema, when each began and ended, which locks its transaction holds
 * at both, and which tables are rewritten. From the server, not from reading the SQL. Our own sessions fire none of it.
 */
export async function installEventTriggers(server: ObservedServer, database: string): Promise<void> {
  await withSession(server, database, async (client) => {
    await client.query(removal);
    await client.query(`
create schema ${schema};
create function ${schema}.on_start() returns event_trigger language plpgsql security definer
  set search_path = pg_catalog set log_min_error_statement = panic as $trigger$
begin
  raise log '${eventMark}%', json_build_object('kind', 'start', 'at', ${now}, 'tag', tg_tag, 'database', current_database(),
    'locks', ${locks});
end $trigger$;
create function ${schema}.on_end() returns event_trigger language plpgsql security definer
  set search_path = pg_catalog set log_min_error_statement = panic as $trigger$
begin
  raise log '${eventMark}%', json_build_object('kind', 'end', 'at', ${now}, 'tag', tg_tag, 'database', current_database(),
    'objects', (select coalesce(json_agg(left(object_identity, 200)), '[]') from (
      select object_identity from pg_event_trigger_ddl_commands()
      where schema_name is distinct from 'pg_temp' and object_type not in ('toast table') limit 20) made),
    'locks', ${locks},
    'sql', left(current_query(), ${sqlLengthMax}));
end $trigger$;
create function ${schema}.on_rewrite() returns event_trigger language plpgsql security definer
  set search_path = pg_catalog set log_min_error_statement = panic as $trigger$
begin
  raise log '${eventMark}%', json_build_object('kind', 'rewrite', 'at', ${now}, 'database', current_database(),
    'table', pg_event_trigger_table_rewrite_oid()::int8);
end $trigger$;
create event trigger ${schema}_start on ddl_command_start execute function ${schema}.on_start();
create event trigger ${schema}_end on ddl_command_end execute function ${schema}.on_end();
create event trigger ${schema}_rewrite on table_rewrite execute function ${schema}.on_rewrite();`);
  });
}

export async function removeEventTriggers(server: ObservedServer, database: string): Promise<void> {
  await withSession(server, database, (client) => client.query(removal));
}

/** Of this transaction, up to now. */
const locks = `(select coalesce(json_agg(json_build_array(relation::int8, mode)), '[]') from (
      select relation, mode from pg_locks where pid = pg_backend_pid() and locktype = 'relation' and granted
        and relation >= 16384 and mode <> 'AccessShareLock' limit 100) held)`;

const now = '(extract(epoch from clock_timestamp()) * 1000)::float8';

const removal = `
drop event trigger if exists ${schema}_start;
drop event trigger if exists ${schema}_end;
drop event trigger if exists ${schema}_rewrite;
drop schema if exists ${schema} cascade;`;
