import { BoughError } from '@bough/domain/bough-error';
import { type Client, escapeIdentifier as id, escapeLiteral as literal } from 'pg';
import { endpointLogin, type Login } from '../endpoint-login.ts';
import type { Privilege } from '../parse-endpoints.ts';
import type { Address, Credentials, ServiceDeclaration } from '../service.ts';
import { type PostgresConfiguration, readConfiguration, superuser } from './configuration.ts';
import { together, withConnection } from './connection.ts';
import { verifiersOf } from './scram.ts';

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
  const verifiers = await verifiersOf(credentials);
  const database = 'postgres';
  await withConnection(address, credentials, { database }, (client) =>
    provisionThrough(
      { client, database, address },
      { declaration, credentials, verifiers, areClaimed: false },
    ),
  );
}

/** A connection that is open already, as the superuser, and the database that it is in. */
export interface OpenConnection {
  readonly client: Client;
  readonly database: string;
  readonly address: Address;
}

/** As `postgresProvision`; another connection is opened only for each database that this one is not in. */
export async function provisionThrough(
  open: OpenConnection,
  of: {
    declaration: ServiceDeclaration;
    credentials: Credentials;
    /** Role → what the server stores of its password. */
    verifiers: ReadonlyMap<string, string>;
    /** The roles that are there have these passwords already; setting one takes the server some milliseconds. */
    areClaimed: boolean;
  },
): Promise<void> {
  const { declaration, credentials } = of;
  const { client } = open;
  const configuration = readConfiguration(declaration);
  const { databases } = configuration;
  const users = Object.keys(configuration.endpoints).map((name) => ({
    endpoint: name,
    username: endpointLogin(declaration, credentials, name).username,
  }));
  const owners = new Map(databases.map((database) => [database, ownerOf(configuration, users, database)]));
  await ensureRoles(
    client,
    users.map(({ username }) => ({ username, verifier: verifierOf(of.verifiers, username) })),
    databases.map(groupOf),
    of.areClaimed,
  );
  await ensureDatabases(client, configuration);
  for (const database of databases) {
    const grants = users.map((user) => ({
      role: user.username,
      privilege: configuration.endpoints[user.endpoint]?.privileges[database],
    }));
    const owner = owners.get(database) ?? superuser;
    await inDatabase(open, credentials, database, async (inside) => {
      await ensureExtensions(inside, configuration.extensions, declaration);
      await ensurePrivileges(inside, database, owner, grants);
    });
  }
  // Last, for `reassign owned` in one database hands over the ownership of others too.
  await together(
    client,
    [...owners].map(([database, owner]) => `alter database ${id(database)} owner to ${id(owner)}`),
  );
}

function verifierOf(verifiers: ReadonlyMap<string, string>, username: string): string {
  const verifier = verifiers.get(username);
  if (verifier === undefined) throw new Error(`no verifier was made for ${username}`);
  return verifier;
}

function inDatabase(
  open: OpenConnection,
  login: Login,
  database: string,
  work: (client: Client) => Promise<void>,
): Promise<void> {
  return database === open.database
    ? work(open.client)
    : withConnection(open.address, login, { database }, work);
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

interface RoleToBe {
  readonly username: string;
  readonly verifier: string;
}

/** Those of endpoints and groups, and no login for those of endpoints that went. */
async function ensureRoles(
  client: Client,
  users: readonly RoleToBe[],
  groups: readonly string[],
  areClaimed: boolean,
): Promise<void> {
  const current = users.map(({ username }) => username);
  const { rows } = await client.query<{ rolname: string; is_former: boolean }>(
    `select rolname, rolcanlogin and rolname <> all($2) as is_former from pg_roles
     where rolname = any($3) or rolcanlogin and shobj_description(oid, 'pg_authid') = $1`,
    [roleComment, current, [...current, ...groups]],
  );
  const present = new Set(rows.map(({ rolname }) => rolname));
  const former = rows.filter(({ rolname, is_former }) => is_former && !groups.includes(rolname));
  await together(client, [
    ...users.flatMap((user) => roleStatements(user, { isThere: present.has(user.username), areClaimed })),
    ...former.map(({ rolname }) => `alter role ${id(rolname)} nologin password null`),
    ...groups.filter((group) => !present.has(group)).map((group) => `create role ${id(group)} nologin`),
  ]);
}

function roleStatements(
  { username, verifier }: RoleToBe,
  { isThere, areClaimed }: { isThere: boolean; areClaimed: boolean },
): string[] {
  const password = isThere && areClaimed ? '' : ` password ${literal(verifier)}`;
  return [
    `${isThere ? 'alter' : 'create'} role ${id(username)} login nosuperuser nocreaterole nocreatedb noreplication nobypassrls${password}`,
    `comment on role ${id(username)} is ${literal(roleComment)}`,
  ];
}

async function ensureDatabases(
  client: Client,
  { databases, collation, ctype }: PostgresConfiguration,
): Promise<void> {
  const { rows } = await client.query<{ datname: string }>(
    'select datname from pg_database where datname = any($1)',
    [databases],
  );
  const present = new Set(rows.map(({ datname }) => datname));
  const locale = [
    collation === undefined ? '' : ` lc_collate ${literal(collation)}`,
    ctype === undefined ? '' : ` lc_ctype ${literal(ctype)}`,
  ].join('');
  // Not together: it is refused inside a transaction.
  for (const database of databases.filter((name) => !present.has(name)))
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

/** Found out first and then done in one transaction, so that no connection ever sees half of it. */
async function ensurePrivileges(
  client: Client,
  database: string,
  owner: string,
  grants: readonly Grant[],
): Promise<void> {
  const group = groupOf(database);
  const members = await membersOf(client, group);
  const schemas = grants.some(({ role }) => role !== owner) ? await userSchemas(client) : [];
  await together(client, [
    `revoke all on database ${id(database)} from public`,
    'revoke create on schema public from public',
    `alter database ${id(database)} owner to ${id(owner)}`,
    `grant all on schema public to ${id(owner)}`,
    ...(group === owner ? [] : [`reassign owned by ${id(group)} to ${id(owner)}`]),
    ...grants.flatMap((grant) => {
      const { role, privilege } = grant;
      // Revoking a membership that is not there is a warning in some versions and an error in others.
      const leaves = (role === owner || privilege !== 'admin') && members.has(role);
      return [
        `alter role ${id(role)} in database ${id(database)} reset role`,
        ...(leaves ? [`revoke ${id(group)} from ${id(role)}`] : []),
        ...(role === owner ? [] : grantStatements({ database, owner, schemas }, grant)),
      ];
    }),
  ]);
}

const tableRights: Readonly<Record<'ro' | 'rw', { tables: string; sequences: string }>> = {
  ro: { tables: 'select', sequences: 'select' },
  rw: { tables: 'select, insert, update, delete', sequences: 'usage, select, update' },
};

/** Takes everything away first, so that a privilege that was lowered is lower indeed. */
function grantStatements(
  { database, owner, schemas }: { database: string; owner: string; schemas: readonly string[] },
  grant: Grant,
): string[] {
  const role = id(grant.role);
  const future = `alter default privileges for role ${id(owner)}`;
  const taken = [
    `reassign owned by ${role} to ${id(owner)}`,
    `revoke all on database ${id(database)} from ${role}`,
    ...schemas.flatMap((schema) => [
      `revoke all on all tables in schema ${id(schema)} from ${role}`,
      `revoke all on all sequences in schema ${id(schema)} from ${role}`,
      `revoke all on schema ${id(schema)} from ${role}`,
    ]),
    `${future} revoke all on tables from ${role}`,
    `${future} revoke all on sequences from ${role}`,
    `${future} revoke all on schemas from ${role}`,
  ];
  if (grant.privilege === undefined) return taken;
  const connects = `grant connect, temporary on database ${id(database)} to ${role}`;
  if (grant.privilege === 'admin') {
    const acts = `alter role ${role} in database ${id(database)} set role ${literal(owner)}`;
    return [...taken, connects, `grant ${id(owner)} to ${role}`, acts];
  }
  const { tables, sequences } = tableRights[grant.privilege];
  return [
    ...taken,
    connects,
    ...schemas.flatMap((schema) => [
      `grant usage on schema ${id(schema)} to ${role}`,
      `grant ${tables} on all tables in schema ${id(schema)} to ${role}`,
      `grant ${sequences} on all sequences in schema ${id(schema)} to ${role}`,
    ]),
    `${future} grant ${tables} on tables to ${role}`,
    `${future} grant ${sequences} on sequences to ${role}`,
    `${future} grant usage on schemas to ${role}`,
  ];
}

async function membersOf(client: Client, group: string): Promise<ReadonlySet<string>> {
  const { rows } = await client.query<{ member: string }>(
    `select member.rolname as member from pg_auth_members
     join pg_roles member on member.oid = pg_auth_members.member
     where pg_auth_members.roleid = (select oid from pg_roles where rolname = $1)`,
    [group],
  );
  return new Set(rows.map(({ member }) => member));
}

async function userSchemas(client: Client): Promise<string[]> {
  const { rows } = await client.query<{ nspname: string }>(
    `select nspname from pg_namespace where nspname !~ '^pg_' and nspname <> 'information_schema'`,
  );
  return rows.map(({ nspname }) => nspname);
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
