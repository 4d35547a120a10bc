import { type ObservedServer, withSession } from './session.ts';

const databasesMax = 20;

/** The application's databases, the one that it uses by default first. */
export async function listDatabases(server: ObservedServer, first: string): Promise<string[]> {
  return withSession(server, 'postgres', async (client) => {
    const { rows } = await client.query<{ name: string }>(
      `select datname as name from pg_database
       where datallowconn and not datistemplate and datname <> 'postgres'
       order by datname <> $1, pg_database_size(oid) desc limit ${databasesMax}`,
      [first],
    );
    return rows.map(({ name }) => name);
  });
}
