import { BoughError } from '@bough/domain/bough-error';
import { type Privilege, parseEndpoints, type Report } from '../parse-endpoints.ts';
import type { ConfigurationProblem, ServiceDeclaration } from '../service.ts';
import { parseProperties } from './properties.ts';

/** A declaration's `configuration` with every default written out (upsun-manifest.md §1.4). */
export interface MariadbConfiguration {
  readonly schemas: readonly string[];
  readonly endpoints: Readonly<Record<string, EndpointConfiguration>>;
  /** Flags for the server, from `properties`. */
  readonly flags: Readonly<Record<string, string>>;
}

export interface EndpointConfiguration {
  readonly defaultSchema: string;
  readonly privileges: Readonly<Record<string, Privilege>>;
}

export const defaultEndpoint = 'mysql';
/** The account that Bough itself uses. Apps never get it. */
export const superuser = 'bough';

const oldest = [10, 11] as const;
const knownKeys = ['schemas', 'endpoints', 'properties', 'rotate_passwords'];
const namePattern = /^[A-Za-z_][A-Za-z0-9_-]{0,55}$/;
const reservedNames = new Set([
  superuser,
  'root',
  'mysql',
  'sys',
  'information_schema',
  'performance_schema',
  'mariadb.sys',
]);

/** `10.11` of `10.11.19`: what of MariaDB is one data format. */
export function seriesOf(declaration: ServiceDeclaration): string {
  return declaration.version.split('.').slice(0, 2).join('.');
}

export function readConfiguration(declaration: ServiceDeclaration): MariadbConfiguration {
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
  if (!isNewEnough(declaration))
    report(
      ['type'],
      `MariaDB ${declaration.version} is not offered.`,
      'Use 10.11 or newer, with both numbers, as in mariadb:10.11.',
    );
  for (const key of Object.keys(given)) {
    if (knownKeys.includes(key)) continue;
    report(
      [key],
      `"${key}" is not a setting of a ${declaration.type} service.`,
      `Known are ${knownKeys.join(', ')}.`,
    );
  }
  const schemas = parseSchemas(given.schemas, report);
  const configuration: MariadbConfiguration = {
    schemas,
    endpoints: readEndpoints(given.endpoints, schemas, report),
    flags: parseProperties(given.properties, report),
  };
  return { configuration, problems };
}

function isNewEnough(declaration: ServiceDeclaration): boolean {
  const [major = 0, minor] = declaration.version.split('.').map(Number);
  return minor !== undefined && (major > oldest[0] || (major === oldest[0] && minor >= oldest[1]));
}

function parseSchemas(given: unknown, report: Report): string[] {
  if (given === undefined || given === null) return ['main'];
  if (!Array.isArray(given)) {
    report(['schemas'], '"schemas" must be a list of names.', 'Write schemas: [main, stock].');
    return ['main'];
  }
  const names = new Set<string>();
  given.forEach((name: unknown, index) => {
    if (typeof name === 'string' && isName(name)) names.add(name);
    else report(['schemas', index], `${JSON.stringify(name)} cannot be the name of a schema.`, nameHint);
  });
  return names.size > 0 ? [...names] : ['main'];
}

const nameHint = `Use letters, digits, underscores and hyphens, at most 56; ${[...reservedNames].join(', ')} are taken.`;

function isName(name: string): boolean {
  return namePattern.test(name) && !reservedNames.has(name.toLowerCase());
}

function readEndpoints(
  given: unknown,
  schemas: readonly string[],
  report: Report,
): Record<string, EndpointConfiguration> {
  const rules = {
    noun: 'schema' as const,
    names: schemas,
    fallback: defaultEndpoint,
    isName: (name: string) => isName(name) || name === defaultEndpoint,
    nameHint,
    refuse: (privilege: unknown) =>
      privilege === 'replication' || privilege === 'replication-admin'
        ? `"${privilege}" cannot be given: Bough's MariaDB writes no binary log.`
        : undefined,
  };
  const endpoints = Object.entries(parseEndpoints(given, rules, report));
  return Object.fromEntries(
    endpoints.map(([name, { target, privileges }]) => [name, { defaultSchema: target, privileges }]),
  );
}
