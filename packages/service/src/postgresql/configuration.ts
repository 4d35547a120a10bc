import { BoughError } from '@bough/domain/bough-error';
import { type Privilege, parseEndpoints, type Report } from '../parse-endpoints.ts';
import type { ConfigurationProblem, ServiceDeclaration } from '../service.ts';

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
  const report: Report = (path, message, hint) => problems.push({ path, message, hint });
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
    endpoints: readEndpoints(given.endpoints, databases, report),
    extensions: parseNames(given.extensions, 'extensions', [], extensionPattern, report),
    collation: parseLocale(given.default_collation, 'default_collation', report),
    ctype: parseLocale(given.default_ctype, 'default_ctype', report),
  };
  return { configuration, problems };
}

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

function readEndpoints(
  given: unknown,
  databases: readonly string[],
  report: Report,
): Record<string, EndpointConfiguration> {
  const rules = {
    noun: 'database' as const,
    names: databases,
    fallback: defaultEndpoint,
    isName: (name: string) => namePattern.test(name) && isFree(name) && !/^pg_/i.test(name),
    nameHint,
  };
  const endpoints = Object.entries(parseEndpoints(given, rules, report));
  return Object.fromEntries(
    endpoints.map(([name, { target, privileges }]) => [name, { defaultDatabase: target, privileges }]),
  );
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
