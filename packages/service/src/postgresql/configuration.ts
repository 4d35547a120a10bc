import { BoughError } from '@bough/domain/bough-error';
import type { ConfigurationProblem, ServiceDeclaration } from '../service.ts';

export type Privilege = 'ro' | 'rw' | 'admin';

/** A declaration's `configuration` with every default written out (upsun-manifest.md §1.4). */
export interface PostgresConfiguration {
  readonly databases: readonly string[];
  readonly endpoints: Readonly<Record<string, EndpointConfiguration>>;
  readonly extensions: readonly string[];
  readonly collation: string | undefined;
  readonly ctype: string | undefined;
}

export interface EndpointConfiguration {
  readonly defaultDatabase: string;
  readonly privileges: Readonly<Record<string, Privilege>>;
}

export const defaultEndpoint = 'postgresql';
/** The role that Bough itself uses. Apps never get it. */
export const superuser = 'bough';

const majors = ['14', '15', '16', '17', '18'];
const knownKeys = [
  'databases',
  'endpoints',
  'extensions',
  'default_charset',
  'default_collation',
  'default_ctype',
];
/** Shorter than the 63 that PostgreSQL allows, for a role is named after each database. */
const namePattern = /^[A-Za-z_][A-Za-z0-9_-]{0,55}$/;
const extensionPattern = /^[a-z][a-z0-9_-]{0,62}$/;
const localePattern = /^[A-Za-z0-9_.@-]{1,40}$/;
const reservedNames = new Set([superuser, 'postgres', 'template0', 'template1', 'public', 'none']);

export function majorOf(declaration: ServiceDeclaration): string {
  return declaration.version.split('.')[0] ?? '';
}

export function readConfiguration(declaration: ServiceDeclaration): PostgresConfiguration {
  const { configuration, problems } = parse(declaration);
  const [problem] = problems;
  if (!problem) return configuration;
  throw new BoughError({
    code: 'service-configuration',
    message: `Service "${declaration.name}", ${problem.path.join('.')}: ${problem.message}`,
    hint: problem.hint,
  });
}

export function checkConfiguration(declaration: ServiceDeclaration): ConfigurationProblem[] {
  return parse(declaration).problems;
}

function parse(declaration: ServiceDeclaration) {
  const problems: ConfigurationProblem[] = [];
  const report = (path: (string | number)[], message: string, hint: string) =>
    problems.push({ path, message, hint });
  const given = declaration.configuration;
  if (!majors.includes(majorOf(declaration))) {
    report(['type'], `PostgreSQL ${declaration.version} is not offered.`, `Use one of ${majors.join(', ')}.`);
  }
  for (const key of Object.keys(given)) {
    if (knownKeys.includes(key)) continue;
    report([key], `"${key}" is not a setting of a postgresql service.`, `Known are ${knownKeys.join(', ')}.`);
  }
  if (given.default_charset !== undefined && given.default_charset !== 'UTF8') {
    report(['default_charset'], 'Only UTF8 is supported.', 'Remove the line, or write UTF8.');
  }
  const databases = parseNames(given.databases, 'databases', ['main'], namePattern, report);
  const configuration: PostgresConfiguration = {
    databases,
    endpoints: parseEndpoints(given.endpoints, databases, report),
    extensions: parseNames(given.extensions, 'extensions', [], extensionPattern, report),
    collation: parseLocale(given.default_collation, 'default_collation', report),
    ctype: parseLocale(given.default_ctype, 'default_ctype', report),
  };
  return { configuration, problems };
}

type Report = (path: (string | number)[], message: string, hint: string) => void;

function parseNames(
  given: unknown,
  key: string,
  fallback: readonly string[],
  pattern: RegExp,
  report: Report,
): string[] {
  if (given === undefined || given === null) return [...fallback];
  if (!Array.isArray(given)) {
    report([key], `"${key}" must be a list of names.`, `Write ${key}: [one, two].`);
    return [...fallback];
  }
  const names = new Set<string>();
  given.forEach((name: unknown, index) => {
    const isRight = typeof name === 'string' && pattern.test(name) && isFree(name);
    if (isRight) names.add(name);
    else report([key, index], `${JSON.stringify(name)} cannot be used as a name here.`, nameHint);
  });
  return names.size > 0 ? [...names] : [...fallback];
}

const nameHint =
  'Use letters, digits, underscores and hyphens, at most 56; bough, postgres, template0, template1, public and pg_… are taken.';

function isFree(name: string): boolean {
  // pg_trgm and its like are extensions, which live in another name space than roles and databases.
  return !reservedNames.has(name.toLowerCase());
}

function parseEndpoints(
  given: unknown,
  databases: readonly string[],
  report: Report,
): Record<string, EndpointConfiguration> {
  const first = databases[0] ?? 'main';
  const all = Object.fromEntries(databases.map((database) => [database, 'admin' as const]));
  const fallback = { [defaultEndpoint]: { defaultDatabase: first, privileges: all } };
  if (given === undefined || given === null) return fallback;
  if (!isRecord(given)) {
    report(
      ['endpoints'],
      '"endpoints" must be a map.',
      'Write endpoints: { name: { privileges: { main: rw } } }.',
    );
    return fallback;
  }
  const endpoints: Record<string, EndpointConfiguration> = {};
  for (const [name, endpoint] of Object.entries(given)) {
    const taken = !namePattern.test(name) || !isFree(name) || /^pg_/i.test(name);
    if (taken) report(['endpoints', name], `"${name}" cannot be the name of an endpoint.`, nameHint);
    const parsed = parseEndpoint(name, endpoint, databases, report);
    if (parsed && !taken) endpoints[name] = parsed;
  }
  return endpoints;
}

function parseEndpoint(
  name: string,
  given: unknown,
  databases: readonly string[],
  report: Report,
): EndpointConfiguration | undefined {
  const path = ['endpoints', name];
  if (!isRecord(given)) {
    report(path, 'An endpoint must be a map.', 'Write { default_database: main, privileges: { main: rw } }.');
    return undefined;
  }
  for (const key of Object.keys(given)) {
    if (key === 'default_database' || key === 'privileges') continue;
    report(
      [...path, key],
      `"${key}" is not a setting of an endpoint.`,
      'Known are default_database, privileges.',
    );
  }
  const privileges = parsePrivileges(path, given.privileges, databases, report);
  const defaultDatabase = given.default_database ?? Object.keys(privileges)[0] ?? databases[0];
  if (typeof defaultDatabase !== 'string' || !databases.includes(defaultDatabase)) {
    const hint = `Use one of ${databases.join(', ')}, or add it to databases.`;
    report([...path, 'default_database'], `There is no database ${JSON.stringify(defaultDatabase)}.`, hint);
    return undefined;
  }
  return { defaultDatabase, privileges };
}

function parsePrivileges(
  path: readonly string[],
  given: unknown,
  databases: readonly string[],
  report: Report,
): Record<string, Privilege> {
  if (!isRecord(given)) {
    report([...path, 'privileges'], 'An endpoint needs privileges.', 'Write privileges: { main: rw }.');
    return {};
  }
  const privileges: Record<string, Privilege> = {};
  for (const [database, privilege] of Object.entries(given)) {
    const at = [...path, 'privileges', database];
    if (!databases.includes(database)) {
      report(
        at,
        `There is no database "${database}".`,
        `Use one of ${databases.join(', ')}, or add it to databases.`,
      );
    } else if (privilege !== 'ro' && privilege !== 'rw' && privilege !== 'admin') {
      report(at, `${JSON.stringify(privilege)} is not a privilege.`, 'Use ro, rw or admin.');
    } else privileges[database] = privilege;
  }
  return privileges;
}

function parseLocale(given: unknown, key: string, report: Report): string | undefined {
  if (given === undefined || given === null) return undefined;
  if (typeof given === 'string' && localePattern.test(given)) return given;
  report(
    [key],
    `${JSON.stringify(given)} is not the name of a locale.`,
    'Write C.UTF-8, or remove the line.',
  );
  return undefined;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
