import { BoughError } from '@bough/domain/bough-error';
import { type Client, escapeIdentifier as id, escapeLiteral as literal } from 'pg';
import { endpointLogin } from '../endpoint-login.ts';
import type { Privilege } from '../parse-endpoints.ts';
import type { Address, Credentials, ServiceDeclaration } from '../service.ts';
import { type PostgresConfiguration, readConfiguration, superuser } from './configuration.ts';
import { withConnection } from './connection.ts';
import { scramVerifier } from './scram.ts';

/** Comment of the roles that are ours, so that those of endpoints that went can be told from the app's own. */
const roleComment = 'endpoint of a Bough service';

/**
 * Roles, databases, extensions, privileges. Databases and roles that the declaration no longer names stay: dropping
 * them would drop data; such a role can merely no longer log in.
 */
export async function postgresProvision(
  declaration: ServiceDeclaration,
  address: Address,
  credentials: Credentials,
): Promise<void> {
  const configuration = readConfiguration(declaration);
  const users = Object.keys(configuration.endpoints).map((name) => ({
    endpoint: name,
    ...endpointLogin(declaration, credentials, name),
  }));
  const owners = new Map(
    configuration.databases.map((database) => [database, ownerOf(configuration, users, database)]),
  );
  await withConnection(address, credentials, {}, async (client) => {
    for (const user of users) await ensureRole(client, user.username, await scramVerifier(user.password));
    await lockFormerRoles(
      client,
      users.map((user) => user.username),
    );
    for (const database of configuration.databases) {
      await ensureGroup(client, groupOf(database));
      await ensureDatabase(client, database, configuration);
    }
    for (const database of configuration.databases) {
      const grants = users.map((user) => ({
        role: user.username,
        privilege: configuration.endpoints[user.endpoint]?.privileges[database],
      }));
      const owner = owners.get(database) ?? superuser;
      await withConnection(address, credentials, { database }, async (inside) => {
        await ensureExtensions(inside, configuration.extensions, declaration);
        await transaction(inside, () => ensurePrivileges(inside, database, owner, grants));
      });
    }
    // Last, for `reassign owned` in one database hands over the ownership of others too.
    for (const [database, owner] of owners) {
      await client.query(`alter database ${id(database)} owner to ${id(owner)}`);
    }
  });
}

interface Grant {
  readonly role: string;
  readonly privilege: Privilege | undefined;
}

/**
 * The one endpoint that administers a database owns it, as apps expect. Where several do, a group owns it and each of
 * them acts in the group's name, so that all can alter what any of them made, and gain nothing in other databases.
 */
function ownerOf(
  configuration: PostgresConfiguration,
  users: readonly { endpoint: string; username: string }[],
  database: string,
): string {
  const admins = users.filter(
    ({ endpoint }) => configuration.endpoints[endpoint]?.privileges[database] === 'admin',
  );
  if (admins.length > 1) return groupOf(database);
  return admins[0]?.username ?? superuser;
}

/** No endpoint can have this name, for it has a colon. */
function groupOf(database: string): string {
  return `bough:${database}`;
}

async function ensureGroup(client: Client, group: string): Promise<void> {
  const { rowCount } = await client.query('select from pg_roles where rolname = $1', [group]);
  if (rowCount === 0) await client.query(`create role ${id(group)} nologin`);
}

async function ensureRole(client: Client, role: string, verifier: string): Promise<void> {
  const { rowCount } = await client.query('select from pg_roles where rolname = $1', [role]);
  const verb = rowCount === 0 ? 'create' : 'alter';
  await client.query(
    `${verb} role ${id(role)} login nosuperuser nocreaterole nocreatedb noreplication nobypassrls password ${literal(verifier)}`,
  );
  await client.query(`comment on role ${id(role)} is ${literal(roleComment)}`);
}

async function lockFormerRoles(client: Client, current: readonly string[]): Promise<void> {
  const { rows } = await client.query<{ rolname: string }>(
    `select rolname from pg_roles
     where shobj_description(oid, 'pg_authid') = $1 and rolcanlogin and rolname <> all($2)`,
    [roleComment, current],
  );
  for (const { rolname } of rows) await client.query(`alter role ${id(rolname)} nologin password null`);
}

async function ensureDatabase(
  client: Client,
  database: string,
  { collation, ctype }: PostgresConfiguration,
): Promise<void> {
  const { rowCount } = await client.query('select from pg_database where datname = $1', [database]);
  if (rowCount !== 0) return;
  const locale = [
    collation === undefined ? '' : ` lc_collate ${literal(collation)}`,
    ctype === undefined ? '' : ` lc_ctype ${literal(ctype)}`,
  ].join('');
  await client.query(`create database ${id(database)} template template0 encoding 'UTF8'${locale}`);
}

async function ensureExtensions(
  client: Client,
  extensions: readonly string[],
  declaration: ServiceDeclaration,
): Promise<void> {
  if (extensions.length === 0) return;
  const { rows } = await client.query<{ name: string }>(
    'select name from pg_available_extensions order by name',
  );
  const available = rows.map(({ name }) => name);
  for (const extension of extensions) {
    if (!available.includes(extension)) throw extensionMissing(extension, available, declaration);
    try {
      await client.query(`create extension if not exists ${id(extension)} cascade`);
    } catch (cause) {
      throw extensionBroken(extension, cause, declaration);
    }
  }
}

async function ensurePrivileges(
  client: Client,
  database: string,
  owner: string,
  grants: readonly Grant[],
): Promise<void> {
  await client.query(`revoke all on database ${id(database)} from public`);
  await client.query('revoke create on schema public from public');
  await client.query(`alter database ${id(database)} owner to ${id(owner)}`);
  await client.query(`grant all on schema public to ${id(owner)}`);
  const group = groupOf(database);
  if (group !== owner) await client.query(`reassign owned by ${id(group)} to ${id(owner)}`);
  for (const { role, privilege } of grants) {
    await client.query(`alter role ${id(role)} in database ${id(database)} reset role`);
    if (role === owner || privilege !== 'admin') await leaveGroup(client, role, group);
    if (role !== owner) await ensureGrant(client, database, owner, { role, privilege });
  }
}

const tableRights: Readonly<Record<'ro' | 'rw', { tables: string; sequences: string }>> = {
  ro: { tables: 'select', sequences: 'select' },
  rw: { tables: 'select, insert, update, delete', sequences: 'usage, select, update' },
};

/** Takes everything away first, so that a privilege that was lowered is lower indeed. */
async function ensureGrant(client: Client, database: string, owner: string, grant: Grant): Promise<void> {
  const role = id(grant.role);
  await client.query(`reassign owned by ${role} to ${id(owner)}`);
  await client.query(`revoke all on database ${id(database)} from ${role}`);
  const schemas = await userSchemas(client);
  for (const schema of schemas) {
    await client.query(`revoke all on all tables in schema ${id(schema)} from ${role}`);
    await client.query(`revoke all on all sequences in schema ${id(schema)} from ${role}`);
    await client.query(`revoke all on schema ${id(schema)} from ${role}`);
  }
  const future = `alter default privileges for role ${id(owner)}`;
  await client.query(`${future} revoke all on tables from ${role}`);
  await client.query(`${future} revoke all on sequences from ${role}`);
  await client.query(`${future} revoke all on schemas from ${role}`);
  if (grant.privilege === undefined) return;
  await client.query(`grant connect, temporary on database ${id(database)} to ${role}`);
  if (grant.privilege === 'admin') {
    await client.query(`grant ${id(owner)} to ${role}`);
    await client.query(`alter role ${role} in database ${id(database)} set role ${literal(owner)}`);
    return;
  }
  const { tables, sequences } = tableRights[grant.privilege];
  for (const schema of schemas) {
    await client.query(`grant usage on schema ${id(schema)} to ${role}`);
    await client.query(`grant ${tables} on all tables in schema ${id(schema)} to ${role}`);
    await client.query(`grant ${sequences} on all sequences in schema ${id(schema)} to ${role}`);
  }
  await client.query(`${future} grant ${tables} on tables to ${role}`);
  await client.query(`${future} grant ${sequences} on sequences to ${role}`);
  await client.query(`${future} grant usage on schemas to ${role}`);
}

/** Revoking a membership that is not there is a warning in some versions and an error in others. */
async function leaveGroup(client: Client, member: string, group: string): Promise<void> {
  const { rowCount } = await client.query(
    `select from pg_auth_members
     where member = (select oid from pg_roles where rolname = $1)
       and roleid = (select oid from pg_roles where rolname = $2)`,
    [member, group],
  );
  if (rowCount !== 0) await client.query(`revoke ${id(group)} from ${id(member)}`);
}

async function userSchemas(client: Client): Promise<string[]> {
  const { rows } = await client.query<{ nspname: string }>(
    `select nspname from pg_namespace where nspname !~ '^pg_' and nspname <> 'information_schema'`,
  );
  return rows.map(({ nspname }) => nspname);
}

async function transaction(client: Client, work: () => Promise<void>): Promise<void> {
  await client.query('begin');
  try {
    await work();
    await client.query('commit');
  } catch (error) {
    await client.query('rollback').catch(() => {});
    throw error;
  }
}

function extensionMissing(
  extension: string,
  available: readonly string[],
  declaration: ServiceDeclaration,
): BoughError {
  return new BoughError({
    code: 'extension-unavailable',
    message: `Service "${declaration.name}" asks for the extension ${extension}, which this PostgreSQL ${declaration.version} does not have.`,
    hint: `Remove it from the service's configuration, or use an engine whose image has it. Here are: ${available.join(', ')}.`,
  });
}

function extensionBroken(extension: string, cause: unknown, declaration: ServiceDeclaration): BoughError {
  return new BoughError({
    code: 'extension-unavailable',
    message: `The extension ${extension} of service "${declaration.name}" cannot be created: ${cause instanceof Error ? cause.message : cause}.`,
    hint: "Remove it from the service's configuration, or use an engine whose image has what it needs.",
    cause,
  });
}
